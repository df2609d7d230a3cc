"""One design point -> one record per fault map; sweeps over points; a store that loses nothing."""
