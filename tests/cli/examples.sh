#!/bin/sh
# Every set-up in examples/ is free of mistakes, and plans for its sample messages what NAME/expected says.
. "$(dirname "$0")/_lib.sh"
MAILRULED_LIBDIR=$PWD/rules
export MAILRULED_LIBDIR

# plan_of CONFIG MESSAGE [OPTION...]: a line a step, as `explain --json` writes it.
plan_of() {
    config=$1 message=$2
    shift 2
    run explain --json -c "$config" "$@" "$message"
    if [ "$rc" -ne 0 ]; then
        echo "exit status $rc: $(cat "$dir/err" "$dir/out")"
    else
        sed 's/.*, "plan": \[//; s/\], "error": null}\]$//; s/}, {/}\n{/g' "$dir/out" | grep . | sed 's/^/  /'
    fi
}

# judge NAME CONFIG WORDS EXPECTED: WORDS are a message's name and options of explain.
judge() {
    [ -n "$3" ] || return 0
    # shellcheck disable=SC2086
    set -- "$1" "$2" "$4" $3
    name=$1 config=$2 expected=$3 message=$4
    shift 4
    is "$name: $message" "$(plan_of "$config" "examples/$name/$message" "$@")" "$expected"
}

# example NAME CONFIG
example() {
    run check --offline -c "$2"
    is "$1: no mistakes" "$rc$(cat "$dir/err")" 0
    words='' expected=''
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        '#'* | '') ;;
        ' '*) expected="$expected${expected:+
}$line" ;;
        *)
            judge "$1" "$2" "$words" "$expected"
            words=$line expected=''
            ;;
        esac
    done <"examples/$1/expected"
    judge "$1" "$2" "$words" "$expected"
    for message in examples/"$1"/*.eml; do
        grep -q "^$(basename "$message")" "examples/$1/expected" ||
            fail "$1: $(basename "$message") is not expected anywhere"
    done
}

for config in examples/*.lua; do
    name=$(basename "$config" .lua)
    if [ "$name" = demo ]; then # its ports are known only when it runs
        sed 's/@[A-Z]*_PORT@/993/; s|@CA@|/ca.pem|' "$config" >"$dir/demo.lua"
        config=$dir/demo.lua
    fi
    example "$name" "$config"
done
finish
