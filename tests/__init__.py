"""The tests of hpsearch; a folder for each room of the package."""
