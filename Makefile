# SPDX-License-Identifier: Apache-2.0
# make test and make demo need nothing but a Debian and a network; everything else is plain CMake (see CMakePresets.json).
BUILD := build/release
JOBS ?= $(shell nproc)

.PHONY: all setup configure build test demo photos bench format lint clean
all: build

setup:
	tools/setup.sh

# The Python that setup chose. A build without `make setup` takes python3.
PYTHON = $(shell cat build/python 2>/dev/null || command -v python3)
# Beside it lies the cmake that setup takes where the system's is too old.
CMAKE = PATH="$(patsubst %/,%,$(dir $(PYTHON))):$$PATH" cmake

configure: setup
	$(CMAKE) --preset release -DPython3_EXECUTABLE="$(PYTHON)"

# The program; `make test` builds the tests too.
build: configure
	$(CMAKE) --build $(BUILD) -j $(JOBS) --target finpercep

# Tests that want photographs skip where these cannot be had.
test: configure
	-tools/fetch_photos.sh build/photos
	$(CMAKE) --build $(BUILD) -j $(JOBS)
	ctest --test-dir $(BUILD) -j2 --output-on-failure

photos:
	tools/fetch_photos.sh build/photos

demo: build photos
	$(BUILD)/finpercep demo -c configs/rl/ccl.yaml --photos build/photos -o runs/demo-$$(date +%Y%m%d-%H%M%S)

bench: setup
	$(CMAKE) --preset release -DPython3_EXECUTABLE="$(PYTHON)" -DFINPERCEP_BENCH=ON
	$(CMAKE) --build $(BUILD) -j $(JOBS)
	for program in $(BUILD)/bench/*_bench; do "$$program" || exit 1; done

format:
	find $(wildcard src cli include tests bench) -name '*.h' -o -name '*.cpp' | xargs clang-format -i

lint:
	python3 tools/check_layers.py
	@if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $$(git ls-files '*.h' '*.cpp'); fi
	@if command -v clang-tidy >/dev/null; then \
	  find src cli -name '*.cpp' ! -name '*_test.cpp' | xargs -P $(JOBS) -n 4 clang-tidy --quiet -p $(BUILD); \
	else echo "lint: no clang-tidy here (apt-get install clang-tidy); only the layers were checked"; fi

clean:
	rm -rf build
