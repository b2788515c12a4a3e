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
pkgs_net       := glib-2.0 libuv libcurl openssl
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
CPPFLAGS_ALL := -D_GNU_SOURCE -DMAILRULED_VERSION='"$(VERSION)"' -Iinclude -I.
CFLAGS_ALL   := -std=c17 $(OPT) -g $(WARN) $(HARDEN) $(SAN)
LDFLAGS_ALL  := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(SAN)

pkg = $(if $(1),$(shell pkg-config $(2) $(1)))
$(foreach l,$(LAYERS),$(eval cflags_$l = $$(eval cflags_$l := $$(call pkg,$(pkgs_$l),--cflags))$$(cflags_$l)))
LIBS = $(eval LIBS := $(call pkg,$(ALL_PKGS),--libs) -lpthread)$(LIBS)
CMOCKA = $(eval CMOCKA := $(call pkg,cmocka,--cflags --libs))$(CMOCKA)

srcs = $(sort $(wildcard src/$(1)/*.c))
objs = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(call srcs,$(1)))
lib  = $(BUILD)/lib/$(1).a
libs_for = $(call lib,$(1)) $(foreach u,$(uses_$(1)),$(call lib,$u))

.PHONY: all lib deps demo test check-tests lint layers asan ubsan fuzz bench cover install uninstall deb help clean unit tools
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
$(BUILD)/unit/session/dialogs: $(SCRIPT_SRCS)
$(BUILD)/tools/imap_script: $(SCRIPT_SRCS)

# --- programs that tests use: tests/tools/NAME.c ----------------------------------------------------------------------
TOOLS := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(wildcard tests/tools/*.c))
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

bench: $(BENCH_BINS) ## measure
	@for b in $(BENCH_BINS); do echo "$$b"; $$b; done

lib: $(foreach l,$(LAYERS),$(call lib,$l))

unit: $(UNIT_BINS) ## build and run the unit tests of $(BUILD)
	@tests/run-unit.sh $(UNIT_BINS)

# --- gates -------------------------------------------------------------------------------------------------------
layers: ## fail on an include that goes against the layers
	@tests/lint/layers.sh

deps: ## install what building and testing needs (Debian)
	@tests/deps.sh

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
