#!/bin/sh
# Every message that others collected, against every field and test: no crash, none over the deadline, and a plan or a
# named error for each.
. "$(dirname "$0")/_lib.sh"

if [ ! -d "${CORPUS_DIR:-}/mail" ]; then
    echo "skip explain_corpus: no corpus in '${CORPUS_DIR:-}'"
    exit 0
fi
files=$(find "$CORPUS_DIR/mail" -type f ! -name '.*' | wc -l)
run explain -c tests/cli/every.lua --json "$CORPUS_DIR/mail"
is "explain ran over all of them" "$rc" 0
objects=$(grep -c '"source"' "$dir/out")
if [ "$objects" -ge "$files" ]; then
    ok "$objects objects for $files files"
else
    fail "$objects objects for $files files"
fi
is "no evaluator died or was killed" \
    "$(grep -c 'the evaluator exceeded\|the evaluator killed\|the evaluator died' "$dir/out")" 0
is "each object has a plan" "$(grep -vc '"plan": \[{' "$dir/out")" 0
is "the function saw every attribute" "$(grep -c '"rule": "every attribute", "text"' "$dir/out")" 0
finish
