"""Check of a data set: validation, statistics, anomalies and near duplicates."""
