"""Audits of sessions -> what is handed on of them: tables, Parquet, SQL, a page."""
