"""JDL of gLite and CREAM, on top of ClassAds."""
