# `make demo` and `make test` set up what they need in .venv: Python 3.11 or newer and make suffice.

PYTHON ?= python3
ENV := .venv/bin/python
# the environment's tools first, from any shell, activated or not
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo run plan check best compare score calibrate test test-runs test-staleness fuzz fuzz-detector test-runtime test-slurm test-page parity bench bench-grid bench-planning bench-coverage bench-choices bench-search bench-presets bench-pixels bench-patchcore bench-engine bench-tiles bench-groups bench-scale bench-folds bench-promises bench-memory bench-detector bench-calibration bench-studies docs lint
.DEFAULT_GOAL := help

, := ,

# Snakemake keeps a cache there; in a container of another user there may be no such folder
ifeq ($(shell test -w "$${XDG_CACHE_HOME:-$$HOME}" && echo writable),)
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
endif
# settings of the user's own, merged over config.yaml
CONFIGURED = $(if $(CONFIG),--configfile "$(CONFIG)")

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

demo: $(ENV) ## benchmark three detectors on real images; prints the table
	@snakemake -- reports/elpv_table.md reports/elpv.html
	@cat reports/elpv_table.md
	@echo
	@echo "The table is reports/elpv_table.md; its tidy twin is reports/elpv_table.csv."
	@echo "The page, with figures and pictures: $(CURDIR)/reports/elpv.html"

run: $(ENV) ## benchmark your own images: make run CONFIG=my.yaml [TARGET=reports/…]
	@python workflow/scripts/check_settings.py $(if $(CONFIG),"$(CONFIG)")
	@snakemake $(CONFIGURED) -- $(if $(TARGET),"$(TARGET)")

plan: $(ENV) ## count the jobs that a run would do, by stage: make plan CONFIG=my.yaml
	@python workflow/scripts/check_settings.py $(if $(CONFIG),"$(CONFIG)")
	@snakemake --dry-run $(CONFIGURED) -- $(if $(TARGET),"$(TARGET)")

check: $(ENV) ## look before computing: categories, counts, problems: make check CONFIG=my.yaml
	@python workflow/scripts/check_datasets.py $(if $(CONFIG),"$(CONFIG)")

best: $(ENV) ## search for the best set-up: make best CONFIG=my.yaml [BUDGET=10min] [DISK=20GB] [MAX_MS=50]
	@python workflow/scripts/check_settings.py $(if $(CONFIG),"$(CONFIG)")
	@snakemake $(CONFIGURED) $(if $(BUDGET)$(DISK)$(MAX_MS),--config 'search={$(if $(BUDGET),budget: $(BUDGET)$(,) )$(if \
		$(DISK),disk: $(DISK)$(,) )$(if $(MAX_MS),max_ms: $(MAX_MS))}') -- best

compare: $(ENV) ## benchmark all detectors on the demo's images
	snakemake -- reports/elpv_family_table.md

score: $(ENV) ## score new images: make score DETECTOR=detector.onnx IMAGES=folder [OUTPUT=scores]
	@test -n "$(DETECTOR)" && test -n "$(IMAGES)" || \
		{ echo "make score DETECTOR=path/to/detector.onnx IMAGES=folder [OUTPUT=scores]" \
		"[SCORE='--overlays defective']"; exit 2; }
	python workflow/scripts/score_folder.py "$(DETECTOR)" "$(IMAGES)" \
		--output "$(or $(OUTPUT),scores)" $(SCORE)

calibrate: $(ENV) ## set a detector's threshold on good parts: make calibrate DETECTOR=detector.onnx GOOD=folder [RATE=0.01]
	@test -n "$(DETECTOR)" && test -n "$(GOOD)" || \
		{ echo "make calibrate DETECTOR=path/to/detector.onnx GOOD=folder [RATE=0.01] [RULE=tolerance]" \
		"[OUTPUT=new.onnx] [CALIBRATE='--parts-in-folders']"; exit 2; }
	@python workflow/scripts/calibrate.py "$(DETECTOR)" "$(GOOD)" $(if $(RATE),--rate "$(RATE)") \
		$(if $(RULE),--rule "$(RULE)") $(if $(OUTPUT),--output "$(OUTPUT)") $(CALIBRATE)

# tests of a file share what it has made
SIDE_BY_SIDE = -n auto --dist loadfile --no-loadscope-reorder

test: $(ENV) ## test every part, and one small run as a whole
	python -m pytest $(SIDE_BY_SIDE)

test-runs: $(ENV) ## test further runs: killed, on a full disk, with studies, exported detectors
	python -m pytest $(SIDE_BY_SIDE) tests/runs

test-staleness: $(ENV) ## change one thing behind a finished run, a hundred times: all of it is noticed
	python -m pytest -n auto tests/staleness

fuzz: $(ENV) ## generate some thousand images and masks, sound and damaged, and settings and names: FUZZ="--rounds 200 --seed 7"
	PYTHONPATH=workflow/scripts:tests/support python tests/fuzz/images.py $(FUZZ)
	python tests/fuzz/settings.py $(FUZZ)

fuzz-detector: $(ENV) ## open ten thousand mutated detectors and hostile ones: FUZZ="--mutations 500 --seed 7"
	PYTHONPATH=workflow/scripts:tests/support python tests/fuzz/detectors.py $(FUZZ)

test-runtime: $(ENV) ## detectors of every kind with the oldest runtime, in a plain environment (Python 3.11 or 3.12)
	test -x .venv/oldest/bin/python || $(PYTHON) -m venv .venv/oldest
	.venv/oldest/bin/python -m pip install --quiet --disable-pip-version-check -r envs/oldest_runtime.txt
	PLAIN="$(CURDIR)/.venv/oldest/bin/python" python -m pytest -n auto tests/runtime

test-slurm: $(ENV) ## install a SLURM of one machine (Debian, root) and run the workflow on it
	python -m pip install --quiet --disable-pip-version-check --upgrade --target .venv/cluster \
		--no-deps -r envs/cluster.txt
	PYTHONPATH="$(CURDIR)/.venv/cluster" python -m pytest -rsP tests/slurm

test-page: $(ENV) ## install Chromium (Debian, root) where it is missing and test the page in it
	python -m pytest -rsP tests/page

parity: $(ENV) ## compare with reference outputs: make parity GOLDEN=folder MVTEC=folder
	@test -f "$(GOLDEN)/resnet18_seed42.pth" && test -d "$(MVTEC)/bottle/train/good" || \
		{ echo "make parity GOLDEN=folder MVTEC=folder: GOLDEN holds the reference outputs" \
		"(see tests/parity/compare.py), MVTEC the category bottle"; exit 1; }
	snakemake --cores all --quiet all --configfile config.yaml tests/parity/config.yaml \
		--config 'categories=bottle' 'datasets={reference: {path: "$(abspath $(MVTEC))"}}' \
		'backbones={resnet18: {weights: "$(abspath $(GOLDEN))/resnet18_seed42.pth"}}' \
		-- reports/reference_table.md
	PYTHONPATH=workflow/scripts python tests/parity/compare.py results/reference/bottle "$(GOLDEN)" "$(MVTEC)/bottle"

bench: $(ENV) ## time against a published script; BENCH="--backbones efficientnet_b5 --rounds 1"
	python tests/bench/bench.py $(BENCH)

bench-grid: $(ENV) ## time categories × backbones × methods, cold and after changes, and a GPU
	python tests/bench/bench.py --parts grid gpu --rounds 3 --output reports/benchmark_grid.md \
		$(BENCH)

bench-planning: $(ENV) ## time the planning of large grids (dry runs)
	PYTHONPATH=workflow/scripts:tests/bench python tests/bench/planning.py

bench-coverage: $(ENV) ## simulate how often intervals and alarms keep what they promise, half an hour or more: BENCH="--parts rates --trials 500"
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=workflow/scripts:tests/bench \
		python tests/bench/coverage $(BENCH)

bench-choices: $(ENV) ## simulate how far the choice among detectors can be believed
	PYTHONPATH=workflow/scripts:tests/bench:tests/bench/coverage python tests/bench/choices.py $(BENCH)

bench-search: $(ENV) ## simulate how far what a search reports can be believed
	PYTHONPATH=workflow/scripts:tests/bench python tests/bench/searching.py $(BENCH)

bench-presets: $(ENV) ## what the presets find on bottle, cookie and solar cells: MVTEC=folder COOKIE=folder
	@test -d "$(MVTEC)/bottle/train/good" && test -d "$(COOKIE)/cookie/train/good" || \
		{ echo "make bench-presets MVTEC=folder COOKIE=folder: MVTEC holds the category bottle, COOKIE the" \
		"category cookie, in MVTec's layout"; exit 2; }
	PYTHONPATH=workflow/scripts:tests/bench python tests/bench/presets.py "$(abspath $(MVTEC))" "$(abspath $(COOKIE))"

bench-pixels: $(ENV) ## time the pixel metrics against a full sort, one thread; peak memory
	PYTHONPATH=workflow/scripts python tests/bench/pixel_metrics.py

bench-patchcore: $(ENV) ## time PatchCore on generated maps, half an hour: BENCH="--against FOLDER"; or against a textbook and anomalib: CATEGORY=folder [ANOMALIB=its python]
ifndef CATEGORY
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=workflow/scripts:tests/bench \
		python tests/bench/patchcore_generated.py $(BENCH)
else
	@test -f "$(CATEGORY)/features.h5" || \
		{ echo "make bench-patchcore CATEGORY=folder [ANOMALIB=python]: CATEGORY holds the index.tsv and features.h5" \
		"of a run that reads layers 2 and 3 of a ResNet-18, such as results/reference/bottle of make parity"; exit 2; }
	PYTHONPATH=workflow/scripts python tests/bench/patchcore.py "$(CATEGORY)" \
		$(if $(ANOMALIB),--anomalib "$(ANOMALIB)")
endif

bench-engine: $(ENV) ## time whole runs of PatchCore and PaDiM against anomalib's: ANOMALIB=its python MVTEC=folder WEIGHTS=file
	@test -x "$$(command -v "$(ANOMALIB)")" && test -d "$(MVTEC)/bottle/train/good" && test -f "$(WEIGHTS)" || \
		{ echo "make bench-engine ANOMALIB=python MVTEC=folder WEIGHTS=file [BENCH='--methods padim']: ANOMALIB is the" \
		"Python of an environment that has anomalib, MVTEC holds the category bottle, WEIGHTS is a state dict of" \
		"torchvision's resnet18"; exit 2; }
	python tests/bench/engine.py "$(MVTEC)/bottle" "$(WEIGHTS)" "$(ANOMALIB)" $(BENCH)

bench-tiles: $(ENV) ## memory and time of large images in tiles
	snakemake --quiet all -- resources/weights/efficientnet_lite0.pth
	PYTHONPATH=workflow/scripts:tests/bench python tests/bench/tiled_images.py $(BENCH)

bench-groups: $(ENV) ## false-positive rates on new parts with and without groups, false and missed warnings
	PYTHONPATH=workflow/scripts:tests/support:tests/bench python tests/bench/groups.py

bench-scale: $(ENV) ## time and memory of scoring against the number of images, some hours: BENCH="--images 300 1000 --against FOLDER"
	PYTHONPATH=workflow/scripts python tests/bench/scale.py $(BENCH)

bench-folds: $(ENV) ## time held-out folds against refits and against extraction
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=workflow/scripts:tests/bench \
		python tests/bench/folds.py $(BENCH)

bench-promises: $(ENV) ## simulate which rates thresholds keep on new images, some hours: BENCH="--draws 60 --seconds 15"
	@snakemake --quiet all -- results/elpv_family/polycrystalline/features.h5
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=workflow/scripts:tests/bench \
		python tests/bench/promises.py results/elpv_family/polycrystalline $(BENCH)

bench-detector: DETECTOR ?= results/elpv/monocrystalline/fre_lite0/efficientnet_lite0/detector.onnx
bench-detector: $(ENV) ## time an exported detector against PyTorch, image by image: DETECTOR=results/…
	@snakemake --quiet all $(CONFIGURED) -- $(DETECTOR)
	PYTHONPATH=workflow/scripts:tests/bench python tests/bench/detector.py $(DETECTOR) $(BENCH)

bench-calibration: $(ENV) ## threshold, false alarms and defects found on brighter bottles, before and after a calibration: MVTEC=folder [PLAIN=its python]
	@test -d "$(MVTEC)/bottle/train/good" || \
		{ echo "make bench-calibration MVTEC=folder [PLAIN=python]: MVTEC holds the category bottle, PLAIN is the" \
		"Python of an environment with onnxruntime, NumPy and Pillow alone"; exit 2; }
	PYTHONPATH=workflow/scripts:tests/bench python tests/bench/calibration.py "$(MVTEC)/bottle" \
		$(if $(PLAIN),--python "$(PLAIN)")

bench-studies: $(ENV) ## jobs, points, wall and CPU seconds of the demo's studies
	PYTHONPATH=workflow/scripts:tests/bench python tests/bench/studies.py

bench-memory: $(ENV) ## memory that jobs ask for and use: [CATEGORY=folder] runs it at 512 pixels; [RUN=folder] is a run of yours
	PYTHONPATH=workflow/scripts:tests/bench python tests/bench/memory.py \
		$(if $(RUN),--run "$(RUN)") $(if $(CATEGORY),--category "$(CATEGORY)")

docs: $(ENV) ## write docs/configuration.md; insert what the reports say into README and docs
	@python docs/write_configuration.py
	@python docs/insert_reports.py

lint: $(ENV) ## run ruff, snakefmt and snakemake --lint
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/Snakefile workflow/rules
	snakemake --lint

# what it lacks decides, not its age: the files of a fresh clone are younger than a linked environment
MISSING := $(shell test ! -e $(ENV) || $(ENV) envs/missing.py 2>&1)
ifneq ($(MISSING),)
.PHONY: $(ENV)
endif

$(ENV):
	@test ! -L .venv || { echo ".venv is a link, and nothing is installed through one: remove it. It lacks $(or $(MISSING),Python)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "defectbench needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(ENV) -m pip install --quiet --disable-pip-version-check -r envs/requirements.txt
