# Targets of x.py, which needs nothing but Python 3.11 or newer. `make help` lists them.
PYTHON ?= python3
TARGETS := help setup demo test test-full check docs bench mutation reference audit sbom format \
	lock clean

.PHONY: $(TARGETS)
.DEFAULT_GOAL := help
$(TARGETS):
	@$(PYTHON) x.py $@
