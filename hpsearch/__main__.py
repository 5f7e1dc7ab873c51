"""`python -m hpsearch`."""

from hpsearch.cli import main
from hpsearch.searching.stopping import leave

leave(main())
