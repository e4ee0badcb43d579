"""A page in the browser, on which networks classify and compare videos."""
