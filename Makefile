# Needs only Python >= 3.10 (with venv) and make. `make demo` and `make test` do everything else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Stamps are named after what they depend on: while the lock and the interpreter stay the same, so do
# the libraries, whatever the files' dates; the same holds for setup.py and the package's command.
LIBRARIES_KEY := $(shell { $(PYTHON) --version; cat requirements.lock; } 2>&1 | cksum | cut -d' ' -f1)
LIBRARIES := $(VENV)/made-from-$(LIBRARIES_KEY)
STAMP := $(VENV)/installed-from-$(LIBRARIES_KEY)-$(shell cksum < setup.py | cut -d' ' -f1)

# A file's tests share what they build, so a file stays in one process; 16 cores need no 16 TensorFlows.
PARALLEL := --numprocesses=auto --maxprocesses=8 --dist=loadfile
# Bytecode is kept, whatever the shell says: the tests are collected in half the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env lint format test train table transfer homework tasks bench structure demo demo-release test-slow test-backends test-beam test-export test-remote test-svm test-web test-oldest test-release hunt hunt-short dist test-install lock clean

help:
	@echo "make demo           classify rendered clips with the networks that ship"
	@echo "make demo-release VIDEO=clip.mp4   a released network (downloaded once, 47 MB) on your own clips"
	@echo "make train          render the embedded dataset, train both streams, evaluate"
	@echo "make table          train the paper's five architectures and compare them (NETWORKS=all: all)"
	@echo "make transfer       fine-tune a released network (downloaded once), in three settings"
	@echo "make homework       single frames, an LSTM on their features, and both together, on the embedded dataset"
	@echo "make tasks          when actions happen in long videos, and what each person of a scene does"
	@echo "make bench          measure speed as ratios to references"
	@echo "make structure      draw docs/structure.svg: the rooms and the imports between them"
	@echo "make test           lint, types, layering and tests"
	@echo "make test-slow      whole jobs that take longer: kills and restarts, exports, every application"
	@echo "make test-backends  the network on TensorFlow, JAX and PyTorch, in its own environment"
	@echo "make test-beam      jobs by Apache Beam, whose packages are in a folder of their own"
	@echo "make test-export    the exports to ONNX and PyTorch, whose packages are in a folder of their own"
	@echo "make test-remote    videos and results at addresses, on a local S3 server"
	@echo "make test-svm       linear SVMs, whose package is in a folder of its own"
	@echo "make test-web       the page in a browser, whose packages are in a folder of their own"
	@echo "make test-oldest    the lowest versions that setup.py promises, and tensorflow-io, in an environment of their own"
	@echo "make test-release   a released network on real clips, where it can be downloaded"
	@echo "make hunt           5,000 hostile inputs and unlucky moments, about an hour; hunt-short takes 5 minutes"
	@echo "make dist           build the wheel and the source distribution in dist/, and check them"
	@echo "make test-install   use the wheel in an environment of its own, without the source tree"
	@echo "make lock           update requirements.lock (needs uv)"

env: $(STAMP)

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python >= 3.10 is needed; $(PYTHON) is `$(PYTHON) --version`. Try: make PYTHON=python3.12"; exit 1; }
	test -e "$(LIBRARIES)" || rm -rf "$(VENV)"
	test -e "$(LIBRARIES)" || { $(PYTHON) -m venv "$(VENV)" && \
	  $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock && \
	  touch "$(LIBRARIES)"; }
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch "$@"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# JAX and PyTorch, which nothing else here needs, live in an environment of their own.
BACKENDS := $(VENV)-backends
BACKENDS_STAMP := $(BACKENDS)/made-from-$(shell { $(PYTHON) --version; cat requirements-backends.txt; } 2>&1 | cksum | cut -d' ' -f1)

$(BACKENDS_STAMP):
	rm -rf "$(BACKENDS)"
	$(PYTHON) -m venv "$(BACKENDS)"
	$(BACKENDS)/bin/python -m pip install --quiet --requirement requirements-backends.txt
	touch "$@"

test-backends: env $(BACKENDS_STAMP)
	KERAS_BACKEND=tensorflow $(BIN)/python tests/backends/compare_backends.py write build/backends
	KERAS_BACKEND=jax PYTHONPATH=. $(BACKENDS)/bin/python tests/backends/compare_backends.py compare build/backends
	KERAS_BACKEND=torch PYTHONPATH=. $(BACKENDS)/bin/python tests/backends/compare_backends.py compare build/backends
	KERAS_BACKEND=torch PYTHONPATH=. $(BACKENDS)/bin/python tests/backends/torch_convolution.py
	$(BIN)/python tests/backends/compare_flow.py write build/backends
	PYTHONPATH=. $(BACKENDS)/bin/python tests/backends/compare_flow.py compare build/backends
	KERAS_BACKEND=torch PYTHONPATH=. $(BACKENDS)/bin/python benchmarks/gpu.py --size=32 --width_multiplier=0.1 --rounds=1 --precisions=float32,bfloat16 --training_precisions=float32

# The export extra, beside the environment and not in it.
EXPORT := $(VENV)-export
EXPORT_STAMP := $(EXPORT)/made-from-$(shell { $(PYTHON) --version; cat requirements-export.txt; } 2>&1 | cksum | cut -d' ' -f1)

$(EXPORT_STAMP): | $(STAMP)
	rm -rf "$(EXPORT)"
	$(BIN)/python -m pip install --quiet --no-deps --target="$(EXPORT)" --requirement requirements-export.txt
	touch "$@"

test-export: env $(EXPORT_STAMP)
	PYTHONPATH="$(abspath $(EXPORT))" $(BIN)/python -m pytest tests/export/test_onnx.py tests/export/test_pytorch.py

# The remote extra and a local S3 server, beside the environment and not in it.
REMOTE := $(VENV)-remote
REMOTE_STAMP := $(REMOTE)/made-from-$(shell { $(PYTHON) --version; cat requirements-remote.txt; } 2>&1 | cksum | cut -d' ' -f1)

$(REMOTE_STAMP): | $(STAMP)
	rm -rf "$(REMOTE)"
	$(BIN)/python -m pip install --quiet --target="$(REMOTE)" --requirement requirements-remote.txt
	touch "$@"

test-remote: env $(REMOTE_STAMP)
	PYTHONPATH="$(abspath $(REMOTE))" $(BIN)/python -m pytest tests/tools/test_s3.py -rs

# The beam extra, beside the environment and not in it. The jobs from and to S3 also need that of test-remote.
BEAM := $(VENV)-beam
BEAM_STAMP := $(BEAM)/made-from-$(shell { $(PYTHON) --version; cat requirements-beam.txt; } 2>&1 | cksum | cut -d' ' -f1)

$(BEAM_STAMP): | $(STAMP)
	rm -rf "$(BEAM)"
	$(BIN)/python -m pip install --quiet --no-deps --target="$(BEAM)" --requirement requirements-beam.txt
	touch "$@"

test-beam: env $(BEAM_STAMP) $(REMOTE_STAMP)
	PYTHONPATH="$(abspath $(BEAM)):$(abspath $(REMOTE))" $(BIN)/python -m pytest tests/distributed/test_beam.py tests/tools/test_s3.py tests/docs/test_pages.py -k beam -rs

# The svm extra, beside the environment and not in it.
SVM := $(VENV)-svm
SVM_STAMP := $(SVM)/made-from-$(shell { $(PYTHON) --version; cat requirements-svm.txt; } 2>&1 | cksum | cut -d' ' -f1)

$(SVM_STAMP): | $(STAMP)
	rm -rf "$(SVM)"
	$(BIN)/python -m pip install --quiet --no-deps --target="$(SVM)" --requirement requirements-svm.txt
	touch "$@"

test-svm: env $(SVM_STAMP)
	PYTHONPATH="$(abspath $(SVM))" $(BIN)/python -m pytest tests/metrics/test_svm.py tests/metrics/test_embedding.py tests/evaluation/test_fuse_reports.py tests/evaluation/test_classify_features.py tests/explain/test_map_features.py -rs

# The web extra, beside the environment and not in it.
WEB := $(VENV)-web
WEB_STAMP := $(WEB)/made-from-$(shell { $(PYTHON) --version; cat requirements-web.txt; } 2>&1 | cksum | cut -d' ' -f1)

$(WEB_STAMP): | $(STAMP)
	rm -rf "$(WEB)"
	$(BIN)/python -m pip install --quiet --no-deps --target="$(WEB)" --requirement requirements-web.txt
	touch "$@"

test-web: env $(WEB_STAMP)
	PYTHONPATH="$(abspath $(WEB))" $(BIN)/python -m pytest tests/web/test_page.py -rs

# The lowest versions, among them TensorFlow 2.16, which has wheels up to Python 3.12.
OLDEST := $(VENV)-oldest
OLDEST_STAMP := $(OLDEST)/made-from-$(shell { $(PYTHON) --version; cat requirements-oldest.txt; } 2>&1 | cksum | cut -d' ' -f1)
OLDEST_TESTS := \
  tests/compatibility tests/data/test_clips.py tests/data/test_pipeline.py tests/export/test_saved_model.py tests/evaluation/test_report.py \
  tests/features/test_extract_features.py tests/flow/test_compute_files.py tests/inference/test_predictor.py \
  tests/layers/test_unit.py tests/models/test_inception.py tests/system/test_console.py tests/system/test_remote.py \
  tests/tools/test_predict.py tests/training/test_model.py tests/video/test_container.py tests/video/test_rgb_frames.py \
  tests/viz/test_filters.py tests/weights/test_assign.py tests/weights/test_store.py tests/weights/test_weights_file.py \
  tests/zoo/test_checkpoint.py

$(OLDEST_STAMP):
	rm -rf "$(OLDEST)"
	$(PYTHON) -m venv "$(OLDEST)"
	$(OLDEST)/bin/python -m pip install --quiet --requirement requirements-oldest.txt
	touch "$@"

test-oldest: $(OLDEST_STAMP)
	PYTHONPATH=. $(OLDEST)/bin/python -m pytest $(OLDEST_TESTS) -m "not slow and not release" --numprocesses=2 --dist=loadfile
	PYTHONPATH=. $(OLDEST)/bin/python -m pytest tests/tools/test_s3_plugin.py -rs

dist: env
	rm -rf dist
	$(BIN)/python tests/distribution/build_distributions.py dist
	$(BIN)/python tests/distribution/check_distributions.py dist

# What a user has who installs the wheel. (The check makes folders read-only for a while.)
INSTALL := $(VENV)-install
INSTALL_STAMP := $(INSTALL)/made-from-$(LIBRARIES_KEY)

$(INSTALL_STAMP):
	test ! -e "$(INSTALL)" || chmod -R u+w "$(INSTALL)"
	rm -rf "$(INSTALL)"
	$(PYTHON) -m venv "$(INSTALL)"
	$(INSTALL)/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
	touch "$@"

test-install: dist $(INSTALL_STAMP)
	$(INSTALL)/bin/python -m pip install --quiet --force-reinstall --no-deps --no-index dist/*.whl
	$(INSTALL)/bin/python -m pip check
	$(INSTALL)/bin/python tests/distribution/check_installation.py "$(INSTALL)"

train: env
	$(BIN)/python tools/train_stick_actions.py

table: env
	$(BIN)/python tools/compare_architectures.py $(if $(NETWORKS),--networks=$(NETWORKS))

# Downloads a released network once. Hours on two cores; goes on where it was stopped.
transfer: env
	$(BIN)/python tools/transfer.py

homework: env
	$(BIN)/python tools/homework.py

tasks: env
	$(BIN)/python tools/tasks.py

bench: env
	$(BIN)/python benchmarks/all.py

structure: env
	$(BIN)/python docs/draw_structure.py

demo: env
	$(BIN)/python tools/demo.py

demo-release: env
	@test -n "$(VIDEO)" || { echo "Name a video, a folder or a pattern: make demo-release VIDEO=clip.mp4"; exit 1; }
	$(BIN)/python tools/demo.py --release --output_dir=demo-release "$(VIDEO)"

test: lint
	$(BIN)/python -m pytest tests -m "not slow and not release" $(PARALLEL)

test-slow: env
	$(BIN)/python -m pytest tests -m slow $(PARALLEL)

# The released network is kept in build/release; without a source of it, the tests are skipped.
test-release: env $(EXPORT_STAMP) $(BACKENDS_STAMP)
	PYTHONPATH="$(abspath $(EXPORT))" $(BIN)/python -m pytest tests -m release -rs

# Damaged videos, weights and records, odd names, killed jobs: see docs/reliability.md.
hunt: env
	$(BIN)/python tests/hunt/hunt.py --cases=5000

hunt-short: env
	$(BIN)/python tests/hunt/hunt.py --cases=400 --minutes=5

lock:
	uv pip compile --universal --python-version 3.10 --generate-hashes --no-annotate --no-header \
	  --extra dev setup.py --constraint requirements.in --output-file requirements.lock

clean:
	rm -rf "$(VENV)" "$(VENV)-backends" "$(VENV)-beam" "$(VENV)-export" "$(VENV)-remote" "$(VENV)-svm" "$(VENV)-web" "$(VENV)-oldest" "$(VENV)-install" build dist *.egg-info
