"""What-if by hand: one study on a bench whose closed forms follow every slider, in a browser or in a notebook."""
