# A thin door to x.py, which needs nothing but Python >= 3.11. `make help` lists the targets.
PYTHON ?= python3
TARGETS := help setup demo test check docs bench audit sbom format lock clean

.PHONY: $(TARGETS)
.DEFAULT_GOAL := help
$(TARGETS):
	@$(PYTHON) x.py $@
