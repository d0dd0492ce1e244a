"""ADL: the XML of EMI-ES, parsed and written as ARC 6.17 does."""
