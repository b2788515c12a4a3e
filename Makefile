# mailruled. `make help` lists the targets. Objects, tests and logs go under build/.

VERSION  := 0.1.0
PREFIX   ?= /usr/local
DESTDIR  ?=
BUILD    ?= build
CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
OPT      ?= -O2
SAN      ?=
CORPUS_DIR ?= $(abspath $(CURDIR)/../shared/corpus)
export CORPUS_DIR

# Layers, lowest first, each with the layers it may include: what a unit test of it links. DESIGN: see docs/layers.md.
LAYERS := base wire imap mail rules evaluator net session state action daemon
uses_base      :=
uses_wire      := base
uses_imap      := base
uses_mail      := base
uses_rules     := mail wire base
uses_evaluator := rules mail wire base
uses_net       := base
uses_session   := net imap base
uses_state     := base
uses_action    := session net imap state wire base
uses_daemon    := action session net imap state wire base
pkgs_base      := glib-2.0
pkgs_wire      := glib-2.0 msgpack
pkgs_imap      := glib-2.0
pkgs_mail      := glib-2.0 gmime-3.0
pkgs_rules     := glib-2.0 lua5.4 libpcre2-8 jansson
pkgs_evaluator := glib-2.0 libseccomp
pkgs_net       := glib-2.0 libuv libcurl openssl zlib
pkgs_session   := glib-2.0
pkgs_state     := glib-2.0 sqlite3
pkgs_action    := glib-2.0
pkgs_daemon    := glib-2.0
ALL_PKGS := $(sort $(foreach l,$(LAYERS),$(pkgs_$l)))

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
        -Wformat=2 -Wvla -Wundef -Wno-unused-parameter
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
ifeq ($(SAN),)
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif
IS_CLANG := $(findstring clang,$(CC))
ifeq ($(IS_CLANG),)
HARDEN += -ftrivial-auto-var-init=zero
endif
CPPFLAGS_ALL := -D_GNU_SOURCE -DMAILRULED_VERSION='"$(VERSION)"' -Iinclude -I. \
	-DMAILRULED_LIBDIR='"$(PREFIX)/share/mailruled/rules"'
CFLAGS_ALL   := -std=c17 $(OPT) -g $(WARN) $(HARDEN) $(SAN)
LDFLAGS_ALL  := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(SAN)

pkg = $(if $(1),$(shell pkg-config $(2) $(1)))
$(foreach l,$(LAYERS),$(eval cflags_$l = $$(eval cflags_$l := $$(call pkg,$(pkgs_$l),--cflags))$$(cflags_$l)))
LIBS = $(eval LIBS := $(call pkg,$(ALL_PKGS),--libs) -lpthread -lm)$(LIBS)
CMOCKA = $(eval CMOCKA := $(call pkg,cmocka,--cflags --libs))$(CMOCKA)

srcs = $(sort $(wildcard src/$(1)/*.c))
objs = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(call srcs,$(1)))
lib  = $(BUILD)/lib/$(1).a
libs_for = $(call lib,$(1)) $(foreach u,$(uses_$(1)),$(call lib,$u))

.PHONY: all lib deps demo test check-tests soak lint layers asan ubsan fuzz fuzz-libs fuzz-smoke tools bench bench-parts cover install uninstall \
        deb help clean unit tools
all: $(BUILD)/mailruled

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- objects -----------------------------------------------------------------------------------------------------
define LAYER_RULES
$(BUILD)/obj/$(1)/%.o: src/$(1)/%.c Makefile
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS_ALL) $$(cflags_$(1)) $$(CFLAGS_ALL) -MMD -MP -c -o $$@ $$<
$(BUILD)/lib/$(1).a: $$(call objs,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call LAYER_RULES,$l)))

$(BUILD)/obj/main.o: src/main.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(cflags_base) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/mailruled: $(BUILD)/obj/main.o $(foreach l,$(LAYERS),$(call lib,$l))
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(foreach l,$(LAYERS),$(call lib,$l)) -Wl,--end-group $(LIBS)

# The place of the rule library is compiled in: built again when PREFIX is another one.
$(BUILD)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' >$@
$(BUILD)/obj/rules/vm.o: $(BUILD)/prefix
FORCE:

# --- unit tests: tests/unit/LAYER/NAME.c links LAYER and what it may include ------------------------------------------
UNIT_SRCS := $(sort $(wildcard tests/unit/*/*.c))
UNIT_BINS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRCS))
define UNIT_RULES
$(BUILD)/unit/$(1)/%: tests/unit/$(1)/%.c $(call libs_for,$(1)) Makefile
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS_ALL) $$(cflags_$(1)) $$(CFLAGS_ALL) -MMD -MP $$(LDFLAGS_ALL) -o $$@ $$(filter %.c,$$^) \
		-Wl,--start-group $(call libs_for,$(1)) -Wl,--end-group $$(LIBS) $$(CMOCKA)
endef
$(foreach l,$(LAYERS),$(eval $(call UNIT_RULES,$l)))

# The scripted IMAP server: inside the tests of the session, and as a program for tests of the daemon.
SCRIPT_SRCS := $(wildcard tests/script/*.c)
$(BUILD)/unit/session/dialogs: $(SCRIPT_SRCS) $(filter-out %/talk.c,$(wildcard tests/session/*.c))
$(BUILD)/unit/session/recordings: $(SCRIPT_SRCS) tests/session/talk.c
$(BUILD)/unit/session/account: $(SCRIPT_SRCS)
$(BUILD)/tools/imap_script: $(SCRIPT_SRCS)
# The simulated week.
$(BUILD)/tools/soak: $(wildcard tests/soak/*)

# --- programs that tests use: tests/tools/NAME.c; those of PRELOADS are loaded into others ------------------------------
PRELOADS := clock killer redirect
TOOLS := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(filter-out $(PRELOADS:%=tests/tools/%.c),$(wildcard tests/tools/*.c))) \
	$(PRELOADS:%=$(BUILD)/tools/%.so)
$(BUILD)/tools/%.so: tests/tools/%.c Makefile
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c17 -O2 -g -I. $(WARN) -fPIC -shared -MMD -MP -o $@ $< -ldl
$(BUILD)/tools/%: tests/tools/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(cflags_base) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -o $@ $(filter %.c,$^) $(LIBS)
tools: $(TOOLS)

# --- measurements: tests/bench/LAYER/NAME.c, run by hand or by `make bench` ---------------------------------------------
BENCH_SRCS := $(sort $(wildcard tests/bench/*/*.c))
BENCH_BINS := $(patsubst tests/%.c,$(BUILD)/%,$(BENCH_SRCS))
define BENCH_RULES
$(BUILD)/bench/$(1)/%: tests/bench/$(1)/%.c $(call libs_for,$(1)) Makefile
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS_ALL) $$(cflags_$(1)) $$(CFLAGS_ALL) -MMD -MP $$(LDFLAGS_ALL) -o $$@ $$< \
		-Wl,--start-group $(call libs_for,$(1)) -Wl,--end-group $$(LIBS)
endef
$(foreach l,$(LAYERS),$(eval $(call BENCH_RULES,$l)))

bench-parts: $(BENCH_BINS)
	@for b in $(BENCH_BINS); do echo "$$b"; $$b; done

lib: $(foreach l,$(LAYERS),$(call lib,$l))

unit: $(UNIT_BINS) ## build and run the unit tests of $(BUILD)
	@tests/run-unit.sh $(UNIT_BINS)

# --- gates -------------------------------------------------------------------------------------------------------
layers: ## fail on an include that goes against the layers, or a name defined in two of them
	@tests/lint/layers.sh

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

asan: ## unit and dialogue tests under AddressSanitizer
	$(MAKE) unit BUILD=build/asan SAN="-fsanitize=address -fno-omit-frame-pointer" OPT=-O1
ubsan: ## the same under UndefinedBehaviorSanitizer
	$(MAKE) unit BUILD=build/ubsan SAN="-fsanitize=undefined -fno-sanitize-recover=all" OPT=-O1

test: deps ## install what is needed and run every test
	$(MAKE) check-tests

check-tests: layers
	$(MAKE) -s -j2 all tools
	$(MAKE) -s unit
	$(MAKE) -s -j2 all BUILD=build/clang CC=clang
	$(MAKE) -s -j2 all unit BUILD=build/san SAN="$(SANITIZE)" OPT=-O1
	$(MAKE) -s fuzz-smoke
	tests/run-scripts.sh $(BUILD) tests/lua tests/cli tests/servers tests/crash

soak: ## a week of the daemon's life in simulated time, with sanitizers: about half an hour
	$(MAKE) -s -j2 all tools
	$(MAKE) -s -j2 all BUILD=build/san SAN="$(SANITIZE)" OPT=-O1
	@SOAK_HOURS=$${SOAK_HOURS:-168} BUILD=$(abspath $(BUILD)) TOOLS=$(abspath $(BUILD))/tools TESTS=$(CURDIR)/tests tests/servers/soak.sh

lint: ## clang-tidy, cppcheck, luacheck, sizes of functions and files, manual pages
	@tests/lint/lint.sh

# --- fuzzers: tests/fuzz/NAME.c with seeds in tests/fuzz/seeds/NAME -------------------------------------------------------
FUZZ_NAMES := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
FUZZ_SECONDS ?= 60
FUZZ_LAYERS := base wire imap mail rules net session
FUZZ_BUILD := build/fuzz
$(FUZZ_BUILD)/bin/%: tests/fuzz/%.c $(foreach l,$(FUZZ_LAYERS),$(call srcs,$l)) Makefile
	@mkdir -p $(@D)
	clang $(CPPFLAGS_ALL) -std=c17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(foreach l,$(FUZZ_LAYERS),$(cflags_$l)) -o $@ $< \
		-Wl,--start-group $(foreach l,$(FUZZ_LAYERS),$(FUZZ_BUILD)/lib/$l.a) -Wl,--end-group $(LIBS)
fuzz-libs:
	$(MAKE) -j2 $(foreach l,$(FUZZ_LAYERS),$(FUZZ_BUILD)/lib/$l.a) BUILD=$(FUZZ_BUILD) CC=clang OPT=-O1 \
		SAN="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"
fuzz: fuzz-libs ## every fuzzer for FUZZ_SECONDS each
	$(MAKE) $(addprefix $(FUZZ_BUILD)/bin/,$(FUZZ_NAMES))
	@tests/run-fuzz.sh $(FUZZ_BUILD) $(FUZZ_SECONDS) $(FUZZ_NAMES)
fuzz-smoke: fuzz-libs
	$(MAKE) $(addprefix $(FUZZ_BUILD)/bin/,$(FUZZ_NAMES))
	@tests/run-fuzz.sh $(FUZZ_BUILD) 3 $(FUZZ_NAMES)

bench: ## measure against peers and the server's own limit (installs imapfilter)
	@tests/deps.sh imapfilter
	$(MAKE) -j2 all tools $(BUILD)/bench/rules/rules
	@tests/bench/run.sh $(BUILD)

demo: deps ## a private mail server, the daemon on examples/demo.lua, a few messages, and what became of them
	$(MAKE) -j2 all tools
	@examples/demo.sh $(BUILD)

# --- installing ----------------------------------------------------------------------------------------------------
MANUALS := man/mailruled.1 man/mailruled-config.5 man/mailruled-rules.7
INSTALLED = bin/mailruled $(foreach m,$(MANUALS),share/man/man$(subst .,,$(suffix $m))/$(notdir $m)) \
	lib/systemd/system/mailruled.service share/bash-completion/completions/mailruled \
	share/zsh/site-functions/_mailruled share/fish/vendor_completions.d/mailruled.fish
TO = $(DESTDIR)$(PREFIX)
# Pages and unit name the places as they are.
install_text = sed 's|/usr/local/|$(PREFIX)/|g' $(1) | install -D -m 644 /dev/stdin $(TO)/$(2)

install: all ## binary, manual pages, unit, rule sets, completions: below DESTDIR PREFIX
	install -D -m 755 $(BUILD)/mailruled $(TO)/bin/mailruled
	$(foreach m,$(MANUALS),$(call install_text,$m,share/man/man$(subst .,,$(suffix $m))/$(notdir $m)) &&) true
	$(call install_text,systemd/mailruled.service,lib/systemd/system/mailruled.service)
	install -D -m 644 completions/mailruled.bash $(TO)/share/bash-completion/completions/mailruled
	install -D -m 644 completions/_mailruled $(TO)/share/zsh/site-functions/_mailruled
	install -D -m 644 completions/mailruled.fish $(TO)/share/fish/vendor_completions.d/mailruled.fish
	install -d $(TO)/share/mailruled/rules/meta
	install -m 644 rules/*.lua $(TO)/share/mailruled/rules
	install -m 644 rules/meta/*.lua $(TO)/share/mailruled/rules/meta

uninstall: ## takes that away again; configuration and journal stay
	rm -f $(addprefix $(TO)/,$(INSTALLED))
	rm -rf $(TO)/share/mailruled

deb: ## a Debian package, below $(BUILD)
	rm -rf $(BUILD)/deb
	$(MAKE) install PREFIX=/usr DESTDIR=$(abspath $(BUILD)/deb)
	@packaging/deb.sh $(VERSION) $(BUILD)/deb $(BUILD)/mailruled_$(VERSION)_$$(dpkg --print-architecture).deb

cover: ## what of each layer the unit tests run
	find build/cover -name '*.gcda' -delete 2>/dev/null || true
	$(MAKE) unit BUILD=build/cover SAN=--coverage OPT=-O0
	@tests/cover.sh build/cover $(LAYERS)

deps: ## install what building and testing needs (Debian)
	@tests/deps.sh

clean:
	rm -rf build

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
