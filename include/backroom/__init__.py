"""The retailer's back office for Just Walk Out stores. Imports neither Airflow nor Flask."""
