#!/bin/sh
# The layer rules: which layer may include which, which third-party header belongs to which layer, and (once built) that
# no two layers define the same name. Prints each breach and fails.
set -eu
cd "$(dirname "$0")/../.."
grep -nE '^[[:space:]]*#[[:space:]]*include' -r src include --include='*.[ch]' | awk -F: '
BEGIN {
    uses["base"] = ""; uses["wire"] = "base"; uses["imap"] = "base"; uses["mail"] = "base"
    uses["rules"] = "base mail wire"; uses["evaluator"] = "wire mail rules base"; uses["net"] = "base"
    uses["session"] = "imap net base"; uses["state"] = "base"; uses["action"] = "session net state wire imap base"
    uses["daemon"] = "base wire imap net session state action"
    uses["main"] = "base wire imap net session state action daemon evaluator"
    owner["curl/"] = "net"; owner["openssl/"] = "net"; owner["sqlite3.h"] = "state"; owner["gmime/"] = "mail"
    owner["lua"] = "rules"; owner["lauxlib.h"] = "rules"; owner["pcre2.h"] = "rules"; owner["jansson.h"] = "rules"
    owner["msgpack"] = "wire"; owner["seccomp.h"] = "evaluator"; owner["uv.h"] = "net"; owner["zlib.h"] = "net"
}
{
    path = $1; line = $2; text = $0
    sub(/^[^:]*:[^:]*:/, "", text)
    n = split(path, p, "/")
    layer = (path == "src/main.c") ? "main" : p[2]
    if (text ~ /"/) {
        target = text; sub(/^[^"]*"/, "", target); sub(/".*/, "", target)
        if (target !~ /\//) next
        to = target; sub(/\/.*/, "", to)
        if (to == layer) next
        if ((" " uses[layer] " ") !~ (" " to " ")) { print path ":" line ": " layer " may not include " target; bad = 1 }
    } else {
        target = text; sub(/^[^<]*</, "", target); sub(/>.*/, "", target)
        for (o in owner) {
            if (index(target, o) == 1 && owner[o] != layer) {
                print path ":" line ": <" target "> belongs to " owner[o]; bad = 1
            }
        }
    }
}
END { exit bad }'
twice=$(for lib in "${BUILD:-build}"/lib/*.a; do
    [ -f "$lib" ] || continue
    nm --defined-only -g "$lib" 2>/dev/null |
        awk -v lib="$(basename "$lib" .a)" 'NF == 3 && $2 ~ /[TDBRC]/ && !seen[$3]++ { print $3, lib }'
done | sort | awk '{ n[$1]++; in_[$1] = in_[$1] " " $2 } END { for (k in n) if (n[k] > 1) print k " is defined in" in_[k] }')
[ -z "$twice" ] || { echo "$twice"; exit 1; }
