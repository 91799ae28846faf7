# Each target's line after ## is what make help prints.
.DEFAULT_GOAL := help
.PHONY: help run build test lint bench fuzz docker-steps clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: ## install what is missing, build, and serve on SQLite in ./data
	@scripts/dependencies.sh run
	@scripts/build.sh bin/muster
	@exec bin/muster serve

build: ## build bin/muster
	@scripts/dependencies.sh run
	@scripts/build.sh bin/muster

test: ## install what is missing and run every check and test on SQLite and PostgreSQL
	@scripts/dependencies.sh test
	@scripts/test.sh

lint: ## gofmt, go vet and golangci-lint (built from tools/go.mod the first time)
	@scripts/lint.sh

bench: ## print the benchmark's tables
	@scripts/dependencies.sh test
	@scripts/bench.sh

fuzz: ## run every fuzz target for ten seconds
	@scripts/fuzz.sh

docker-steps: ## do what the Dockerfile does, without Docker, in a temporary folder
	@scripts/docker-steps.sh

clean: ## remove what was built (not ./data)
	rm -rf bin
