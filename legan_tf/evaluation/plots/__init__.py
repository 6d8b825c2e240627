"""Plots of evaluation: functions of plain data that return matplotlib's figures."""
