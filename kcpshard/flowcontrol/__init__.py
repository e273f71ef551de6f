"""API priority and fairness within one logical cluster: which flow a request belongs to, and whether it has a seat."""
