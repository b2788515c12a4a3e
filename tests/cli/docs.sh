#!/bin/sh
# What the tables in src/ have is in the manual pages and the completions: every command with its options, every key of
# the config, every limit, with its default where that is easy to read.
. "$(dirname "$0")/_lib.sh"

# page NAME: as people read it, one line, blanks and line breaks all the same.
page() {
    mandoc -T utf8 -O width=900 "man/$1" 2>/dev/null | sed 's/.\x08//g' | tr '\n' ' ' | tr -s ' '
}
page mailruled.1 >"$dir/command"
page mailruled-config.5 >"$dir/config"
if ! [ -s "$dir/command" ]; then
    echo "skip docs: mandoc is not installed"
    exit 0
fi

# told WHAT PAGE WORD...: each word stands in the page by itself.
told() {
    what=$1 in=$2 missing=''
    shift 2
    for word; do
        grep -q -e "\(^\|[^a-z_]\)$word\([^a-z_]\|\$\)" "$dir/$in" || missing="$missing $word"
    done
    [ $# -gt 0 ] || missing=' (none found: has the table moved?)'
    is "$what" "$missing" ''
}

# items WHAT SECTION PAGE WORD...: each word is an item (.It) in that section of the page.
items() {
    what=$1 missing=''
    sed -n "/^\.Sh $2\$/,/^\.Sh /{/^\.It /p;}" "man/$3" >"$dir/items"
    shift 3
    for word; do
        grep -q -e "[ .]$word\( \|\$\)" "$dir/items" || missing="$missing $word"
    done
    [ $# -gt 0 ] || missing=' (none found: has the table moved?)'
    is "$what" "$missing" ''
}

# keys FILE TABLE: the names in `static const struct key TABLE[]`.
keys() {
    sed -n "/struct key $2\[\] = {/,/^ *};/s/.*{\.name = \"\([a-z0-9_]*\)\".*/\1/p" "src/rules/$1"
}

"$MAILRULED" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' >"$dir/commands"
# shellcheck disable=SC2046
told "every command is in mailruled(1)" command $(cat "$dir/commands")
while read -r command; do
    "$MAILRULED" "$command" --help >"$dir/help"
    options=$(grep -o -e '--[a-z][a-z-]*' "$dir/help" | sort -u)
    # shellcheck disable=SC2086
    told "every option of $command is in mailruled(1)" command $options
    for shell in mailruled.bash _mailruled mailruled.fish; do
        missing=''
        for word in $command $options; do
            case $shell in
            mailruled.fish) pattern="[ '\"]${word#--}\([ '\"]\|\$\)" ;;
            *) pattern="[ '\"{(]$word\([] '\"|)[,:]\|\$\)" ;;
            esac
            grep -q -e "$pattern" "completions/$shell" || missing="$missing $word"
        done
        is "$shell completes $command and its options" "$missing" ''
    done
done <"$dir/commands"

# shellcheck disable=SC2046
{
    items "every key of an account is in mailruled-config(5)" ACCOUNTS mailruled-config.5 $(keys config_account.c keys)
    items "every key of a webhook is in mailruled-config(5)" WEBHOOKS mailruled-config.5 $(keys config_webhook.c keys)
    items "every key of defaults is in mailruled-config(5)" "OTHER SETTINGS" mailruled-config.5 \
        $(keys config_defaults.c keys)
    items "every limit is in mailruled-config(5)" LIMITS mailruled-config.5 $(keys config_defaults.c limit_keys)
    items "every key of a rule is in mailruled-rules(7)" RULES mailruled-rules.7 $(keys config_rule.c keys)
    items "every kind of secret is in mailruled-config(5)" SECRETS mailruled-config.5 \
        $(sed -n '/luaL_Reg functions/,/};/s/.*{"\([a-z]*\)", secret_.*/secret.\1/p' src/rules/config_secret.c)
    items "every action is in mailruled-rules(7)" ACTIONS mailruled-rules.7 \
        $(sed -n '/makers\[\] = {/,/};/p' src/rules/action_lua.c | grep -o '{"[a-z]*"' | tr -d '{"')
}
# Bits of limits.h: ".literal = 64u << 20" is 64MB.
sed -n '/define LIMITS_DEFAULT/,/^#endif/p' include/base/limits.h | tr ',' '\n' |
    sed -n 's/.*\.\([a-z_]*\) = \([0-9]*\)u << 20.*/\1 \2MB/p; s/.*\.\([a-z_]*\) = \([0-9]*\)u << 10.*/\1 \2KB/p
            s/.*\.\([a-z_]*\) = \([0-9]*\)[ \\]*$/\1 \2/p' >"$dir/defaults"
wrong=''
while read -r name value; do
    case $name in
    deadline | rule_wait) value=$((value / 1000))s ;;
    regex_deadline) value=${value}ms ;;
    esac
    grep -q -e "${name}[ ,][^:]*:[^:]*$value" "$dir/config" || wrong="$wrong $name=$value"
done <"$dir/defaults"
is "$(wc -l <"$dir/defaults") limits are told with their defaults" "$wrong" ''

# The README's Lua: each block is a config, or belongs into one that has an account.
awk -v dir="$dir" '/^```lua$/ { file = dir "/readme-" ++n ".lua"; next } /^```$/ { file = "" } file { print >file }' \
    README.md
MAILRULED_LIBDIR=$PWD/rules
export MAILRULED_LIBDIR
n=0 bad=0
for config in "$dir"/readme-*.lua; do
    grep -q '^account ' "$config" ||
        echo 'account "a" { host = "imap.example.org", user = "a", password = secret.env "A" }' >>"$config"
    run check --offline -c "$config"
    [ "$rc" -eq 0 ] || { bad=$((bad + 1)) && cat "$dir/err"; }
    n=$((n + 1))
done
is "the README has recipes, and none has a mistake" "$((n >= 10)) $bad" '1 0'

# What the README points to is there.
missing=''
for path in $(grep -o ']([^)]*)' README.md | tr -d ']()') $(grep -o '`src/[a-z_/]*\.c`' README.md | tr -d '`'); do
    [ -e "$path" ] || missing="$missing $path"
done
is "the README points to what is there" "$missing" ''

mandoc -T lint -W warning man/* >"$dir/lint" 2>&1
is "the manual pages are clean" "$(cat "$dir/lint")" ''
finish
