"""Design points over fault maps: in this process, in several, or on a cluster."""
