"""Frozen values: ids, states, ``.local``, ``.grami``, file entries, reports, session paths."""
