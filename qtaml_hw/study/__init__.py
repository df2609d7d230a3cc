"""A study carried out: design points prepared (``design``), evaluated (``run``) and asked about (``questions``)."""
