"""Command line: programs, flag files, and options that are flags."""
