"""Whole jobs as functions; the binaries in tools/ only read flags and call one."""
