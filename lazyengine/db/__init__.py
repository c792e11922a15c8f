"""The store: every table and every SQL statement; no decision is taken here."""
