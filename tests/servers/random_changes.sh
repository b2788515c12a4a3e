#!/bin/sh
# What other clients do to messages that are known (flags set, messages expunged) is told once each, wherever it falls among
# restarts, kills, cuts and reloads, and whatever the server offers for it.
: "${STEPS:=40}"
. "$(dirname "$0")/_walk.sh"
names='INBOX W1 W2 W3'

new_rules() { # they ask for another header field each time
    tag=$((${tag:-0} + 1))
    config "watch = { \"INBOX\", \"W*\" }, $more" <<CONFIG
rule "changed" {
  on = "flags", when = any { from:contains "@", header "X-Tag-$tag":is "yes" }, actions = { post "hook" },
}
rule "went" { on = "gone", actions = { post "hook" } }
rule "new" { folder = "W1", when = header "X-Tag-$tag":is "yes", actions = { flag "Never" } }
CONFIG
}

# "FOLDER UID NAME" a line: those the daemon knows the flags of, and those it may not know yet.
known() { echo "$box/known"; }
fresh_ones() { echo "$box/fresh"; }

add() {
    total=$((total + 1))
    uid=$(append_to "$folder" "m$total" | tr -d '\r' | sed -n 's/.*APPENDUID [0-9]* \([0-9]*\)\].*/\1/p')
    echo "$folder $uid m$total" >>"$(fresh_ones)"
}
take_known() { # sets $folder, $uid and $name to one that is not known any more
    count=$(wc -l <"$(known)")
    [ "$count" -gt 0 ] || return 1
    pick "$count"
    taken=$(sed -n "$((n + 1))p" "$(known)")
    sed -i "$((n + 1))d" "$(known)"
    read -r folder uid name <<TAKEN
$taken
TAKEN
}
mark() {
    take_known || return 0
    marks=$((marks + 1))
    ! grep -q "^flags $folder $uid K$((marks % 20))$" "$box/expected" || marks=$((marks + 1))
    echo "$folder $uid $name" >>"$(fresh_ones)"
    echo "flags $folder $uid K$((marks % 20))" >>"$box/expected"
    imap "SELECT $folder" "UID STORE $uid +FLAGS (K$((marks % 20)))" >/dev/null
}
remove() {
    take_known || return 0
    echo "gone $folder $uid $name@test" >>"$box/expected"
    imap "SELECT $folder" "UID STORE $uid +FLAGS (\\Deleted)" "UID EXPUNGE $uid" >/dev/null
}

# \Deleted may have been seen before the message was gone.
told() {
    event='^{"id":"\([^"]*\)","type":"message.' place='".*"folder":"\([^"]*\)".*"uid":\([0-9]*\),.*'
    sort -u "$hooks.bodies" 2>/dev/null | sed -n \
        -e "s/${event}flags$place\"flags_added\":\[\([^]]*\)\].*/\1 flags \2 \3 \4/p" \
        -e "s/${event}gone$place\"message_id\":\(\"[^\"]*\"\).*/\1 gone \2 \3 \4/p" |
        tr -d '"' | sort -u -k1,1 | cut -d' ' -f2- | grep -v 'Deleted$' | sort
}
all_told() { told >"$box/told" && sort "$box/expected" | cmp -s - "$box/told"; }
all_known() {
    "$MAILRULED" status --json | tr '{' '\n' >"$box/status"
    while read -r folder uid name; do
        last=$(grep "\"$folder\"" "$box/status" | sed -n 's/.*"last_uid":\([0-9]*\).*/\1/p')
        [ "${last:-0}" -ge "$uid" ] || return 1
    done <"$(fresh_ones)"
}
done_so_far() {
    all_told && all_known || return 1
    cat "$(fresh_ones)" >>"$(known)" && : >"$(fresh_ones)"
}
what_is_missing() { sort "$box/expected" | diff - "$box/told"; }

one_step() {
    any_folder
    disturb 80 || return 1
    if [ "$n" -lt 20 ]; then :
    elif [ "$n" -lt 40 ]; then add
    elif [ "$n" -lt 62 ]; then mark
    else remove
    fi
}

changes() { # MORE of the account, SECONDS as for start_walk
    more=$1 total=0 marks=0
    : >"$(known)" && : >"$(fresh_ones)" && : >"$box/expected"
    start_walk "$2" || return 1
    imap 'CREATE W1' 'CREATE W2' 'CREATE W3' >/dev/null && new_rules || return 1
    daemon && wait_for 30 watching_more_than 3 || return 1
    for i in 1 2 3 4 5 6 7 8; do any_folder && add; done
    settle && walk 8 || return 1
    expect "nothing is told afterwards" all_told
}

rounds='connections = 2, poll = "1s", reconcile = "4s",'
pushed() { changes '' 30; }
with_qresync() { changes "$rounds disable_extensions = { \"NOTIFY\" }," 30; }
with_condstore() { changes "$rounds disable_extensions = { \"NOTIFY\", \"QRESYNC\" }," 30; }
with_nothing() { changes "$rounds disable_extensions = { \"NOTIFY\", \"QRESYNC\", \"CONDSTORE\" }," 30; }

test_case changes_with_notify pushed
test_case changes_with_qresync with_qresync
test_case changes_with_condstore with_condstore
test_case changes_with_nothing with_nothing
finish
