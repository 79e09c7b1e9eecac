# Two commands: `make demo` runs the main job on simulated data, `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: demo test test-containers fuzz check docs validate clean

# Compiled at once by all cores, without the packages' own tests; what is in a later Python is left.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile torch==2.13.0
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[test,docs]'
	$(BIN)/python -m compileall -q -j 0 -x '/tests/|py312_' $(VENV)/lib || true
	touch $@

demo: $(VENV)/.installed
	test -d $(DEMO)/bids || $(BIN)/ctwml-simulate $(DEMO)/bids --participants 3 --seed 1 --size small --nprocs 2
	$(BIN)/python run.py $(DEMO)/bids $(DEMO)/derivatives participant group -w $(DEMO)/work --random-seed 1
	@echo
	@echo "Simulated heads, real program. Open these in a browser:"
	@awk -F'\t' 'NR == 1 {for (i = 1; i <= NF; i++) if ($$i == "lesion_ml") c = i} \
		NR > 1 && $$c + 0 >= most {most = $$c + 0; who = $$1} \
		END {printf "  $(DEMO)/derivatives/%s.html   lesions outlined (%.0f mL are there), volumes, quality\n", who, most}' \
		$(DEMO)/bids/participants.tsv
	@echo "  $(DEMO)/derivatives/group.html    agreement of CT with FLAIR"

# Groups of tests in the order of tests/conftest.py, not by their number of tests. Three processes keep two cores
# busy, as some tests wait for disks and for processes of their own.
GROUPED := --dist loadgroup --no-loadscope-reorder

test: $(VENV)/.installed
	OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 $(BIN)/python -m pytest --numprocesses 3 $(GROUPED)

# Image, Apptainer and SLURM for real, as root; what is not on the machine is skipped, with the reason.
test-containers: $(VENV)/.installed
	$(BIN)/python -m pytest -m container -rs --durations 15 --numprocesses 2 $(GROUPED) tests/containers

# Generated inputs through the programs, 10 to 20 minutes of one CPU for 10,000: make fuzz INPUTS=1000. An input with
# a fault is reduced and left in fuzz-found/.
INPUTS ?= 10000
SEED ?= 1
fuzz: $(VENV)/.installed
	OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 $(BIN)/python -m tests.fuzz --inputs $(INPUTS) --seed $(SEED)

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The documentation as a site; a warning is an error.
docs: $(VENV)/.installed
	$(BIN)/python -m sphinx -W --keep-going --fresh-env --quiet --builder html docs build/docs
	@echo "Open build/docs/index.html"

# Days on two cores; writes benchmarks/results, and the tables of the validation pages from them. Heads, networks
# and anatomies in training/ are what model_making/make_models.sh makes.
BIDS_REAL ?= ../shared/data/bids-real
RECIPES := baseline three-slices dice-loss plain-unet plain-unet-three shipped shipped-long
CHANGES := shipped plain-unet-three zscore-only hu-only five-slices wide dropout few-lesion-patches \
	many-lesion-patches no-lesion-free-heads no-jitter thick-slices-only
validate: $(VENV)/.installed
	$(BIN)/python -m benchmarks.normalisation --with-ants --trials 4
	$(BIN)/python -m benchmarks.brain_masks --pairs 5
	$(BIN)/python -m benchmarks.registration --bids-real $(BIDS_REAL)
	$(BIN)/python -m benchmarks.flair_brain --data $(BIDS_REAL) --scratch training/flair-brain --steps 1500
	$(BIN)/python -m benchmarks.lesions_simulated ct
	$(BIN)/python -m benchmarks.lesions_simulated flair
	$(BIN)/python -m benchmarks.inference_precision ct
	$(BIN)/python -m benchmarks.inference_precision flair
	$(BIN)/python run.py $(BIDS_REAL) training/real participant --random-seed 1
	$(BIN)/python -m benchmarks.real_images $(BIDS_REAL) training/real
	$(BIN)/python -m benchmarks.out_of_bag training/heads5 training/ct5-? --modality ct --heads 22
	$(BIN)/python -m benchmarks.out_of_bag training/heads7 training/ct7-? --modality ct --heads 18 --no-flip \
		--mean-with training/models/ct-sim6
	$(BIN)/python -m benchmarks.out_of_bag training/heads5 training/flair5-? --modality flair --heads 22
	$(BIN)/python -m benchmarks.islands training/heads7 training/ct7-? --modality ct \
		--model ctwml_bids/data/models/ct-sim7
	$(BIN)/python -m benchmarks.islands training/heads5 training/loo5/* --modality flair --heads 24
	$(BIN)/python -m benchmarks.left_out $(BIDS_REAL) training/loo5
	$(BIN)/python -m benchmarks.experiments training/heads training/experiments --only $(RECIPES)
	$(BIN)/python -m benchmarks.experiments training/heads5 training/experiments-shipped --only $(CHANGES) \
		--steps 1500 --name experiments_ct_shipped
	$(BIN)/python -m benchmarks.cohort make training/cohort --anatomies training/test-anatomies
	$(BIN)/python -m benchmarks.cohort measure training/cohort --name whole
	$(BIN)/python -m benchmarks.cohort make training/cohort-second --anatomies training/test-anatomies --seed 2021
	$(BIN)/python -m benchmarks.cohort measure training/cohort-second --name second
	$(BIN)/python -m benchmarks.cohort_compare ct-sim6 whole
	$(BIN)/python -m benchmarks.fazekas_cuts
	$(BIN)/python -m benchmarks.robustness training/robustness --anatomies training/test-anatomies --people 24
	$(BIN)/python -m benchmarks.ratings
	$(BIN)/ctwml-simulate training/realism --participants 8 --seed 31 --anatomies training/anatomies
	$(BIN)/python -m benchmarks.realism $(BIDS_REAL) training/realism --out training/real
	$(BIN)/python -m benchmarks.gates $(BIDS_REAL) training/realism --scratch training/gates --outputs training/real
	$(BIN)/python -m model_making.label_anatomies $(BIDS_REAL)/../anatomies training/label-anatomies anat-11 anat-17 anat-20 --for-tests
	$(BIN)/python -m benchmarks.wide_ventricles ct
	$(BIN)/python -m benchmarks.wide_ventricles flair
	$(BIN)/python -m benchmarks.hypodensity --scratch training/hypodensity --infarcts $(BIDS_REAL)/../infarcts \
		--anatomies training/label-anatomies --bids-real $(BIDS_REAL)
	$(BIN)/python -m benchmarks.reproduction training/reproduction --name cpu-reduced --cohort training/cohort \
		--people 60 --folds 4 --repeats 1 --steps 500
	$(BIN)/python -m benchmarks.training_rate
	$(BIN)/python -m benchmarks.unit_cost $(BIDS_REAL) dv01
	$(BIN)/python -m benchmarks.unit_cost $(BIDS_REAL) dv01 --slices 400 --runs 1
	$(BIN)/python -m benchmarks.group_scale
	$(BIN)/python -m benchmarks.node_memory $(BIDS_REAL) dv01 --option output-spaces=MNI152NLin2009aSym
	$(BIN)/python -m benchmarks.page

clean:
	rm -rf $(DEMO) build dist
