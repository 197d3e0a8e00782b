"""From a data set's name to a folder on this machine: sources, download, unpack, find."""
