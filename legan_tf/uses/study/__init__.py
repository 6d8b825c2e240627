"""Asks people how natural pictures look: makes the study, serves it, collects the answers.

``make`` draws up who is asked what and writes the page; ``server`` serves it and takes answers, as
do downloaded files and Mechanical Turk; ``collect`` turns them into figures.
"""
