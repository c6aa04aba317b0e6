# What a person runs. Each target works by itself on a fresh clone.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
.PHONY: help demo test test-vm check bench bench-caches format clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: node_modules/.ready ## tell the story: artifacts become volumes (a real registry, real mounts)
	@tools/build oras registry >/dev/null
	@npm run --silent demo

test: node_modules/.ready ## run every test, in a mount namespace of its own
	@tools/build oras registry csi-sanity >/dev/null
	@npm run --silent test

test-vm: node_modules/.ready ## the tests that need real quotas or a power loss, in a virtual machine
	@tools/build oras csi-sanity >/dev/null
	@npm run --silent test-vm

check: node_modules/.ready ## types, lint, format, dead code, room boundaries
	@npm run --silent check

bench: node_modules/.ready ## measure against peers; writes bench/last.json
	@tools/build oras registry containerd ctr model-csi-driver >/dev/null
	@npm run --silent bench

bench-caches: node_modules/.ready ## fill caches by npm, Maven, Go, cargo and pip and write them back
	@tools/build oras registry >/dev/null
	@npm run --silent bench-caches

format: node_modules/.ready ## put every file into the one format
	@npm run --silent format

clean: ## remove what was installed and built
	rm -rf node_modules .cache bench/last.json bench/caches.json

node_modules/.ready: package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed (any version from 8 on; it brings the right Node itself): install nodejs and npm" >&2; exit 1; }
	@# Not npm ci: it refuses where a registry lacks other platforms' optional binaries. Versions and sums are the lock's all the same.
	@tools/beat "installing the pinned packages, Node among them (once)" npm install --no-save --loglevel=error
	@touch $@
