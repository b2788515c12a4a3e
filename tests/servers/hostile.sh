#!/bin/sh
# Rules and mail that would hang or crash a reader: the message is parked, and nobody else waits for it.
. "$(dirname "$0")/_lib.sh"
start_server 20

# Two folders: the bombs come to INBOX, honest mail to Work, which has a connection of its own.
bomb() { # RULES on standard input; then: deliver the bomb with `deliver bomb`
    config 'watch = { "INBOX", "Work" },' && imap 'CREATE Work' 'CREATE Quiet' && deliver calm && daemon || return 1
    wait_for 30 watching_more_than 1
}

rss() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status"; }
rss_below() { [ "$(rss)" -lt "$1" ]; }
keeper_is_flat() { # from START kB
    expect "the keeper's memory stays flat: $1 kB, now $(rss)" rss_below $(($1 + 4096))
}
work_flows() { # a message comes to Work and is handled; the bomb is not parked yet
    imap 'SELECT INBOX' 'UID COPY 1 Work' || return 1
    wait_for 20 is_flagged Work calm Handled
}
not_parked_yet() { ! queue_says parked; }
parked_with() { queue_says "parked .*/INBOX/2  rule $1: .*config.lua:[0-9]*: $2"; }

calm='defaults { limits = { deadline = "300ms" } }
rule "calm" { folder = "Work", when = from:contains "@", actions = { flag "Handled" } }'

# The bomb is parked after three attempts, and what it was and where is told.
explodes() { # RULE NAME, PATTERN of its error
    before=$(rss)
    deliver bomb || return 1
    work_flows || return 1
    wait_for 40 parked_with "$1" "$2" || return 1
    keeper_is_flat "$before" || return 1
    deliver tame || return 1
    wait_for 20 is_flagged INBOX tame Tame || return 1
    expect "nothing was done to the bomb" test -z "$(flags_of INBOX bomb | tr -d ' ' | sed 's/.Recent//')" &&
        stop_daemon
}

a_loop_without_end() {
    bomb <<EOT || return 1
$calm
rule "tame" { folder = "INBOX", when = subject:is "tame", actions = { flag "Tame" } }
rule "loop" { folder = "INBOX", when = subject:is "bomb", run = function(msg)
  while true do end
end }
EOT
    explodes loop '.*\(instructions\|exceeded\|budget\)'
}

a_pattern_bomb() {
    bomb <<EOT || return 1
$calm
rule "tame" { folder = "INBOX", when = subject:is "tame", actions = { flag "Tame" } }
rule "pattern" { folder = "INBOX", when = subject:is "bomb", run = function(msg)
  return ("a"):rep(4000):find(".-.-.-.-b")
end }
EOT
    explodes pattern 'exceeded 300 ms' || return 1
    expect "three attempts" test "$(log_count 'attempt [0-9]*: ')" -eq 3
}

bomb_while_work_flows() {
    bomb <<EOT || return 1
$calm
rule "pattern" { folder = "INBOX", when = subject:starts "bomb", run = function(msg)
  return ("a"):rep(4000):find(".-.-.-.-b")
end }
EOT
    before=$(rss)
    deliver bomb || return 1
    wait_for 20 logged 'attempt 1: ' || return 1
    work_flows || return 1
    expect "Work went on before the bomb was parked" not_parked_yet || return 1
    wait_for 40 queue_says parked || return 1
    keeper_is_flat "$before" && stop_daemon
}

an_exploding_regex() {
    bomb <<EOT || return 1
$calm
rule "tame" { folder = "INBOX", when = subject:is "tame", actions = { flag "Tame" } }
rule "regex" { folder = "INBOX", when = header"X-Bomb":regex [[^(a+)+\$]], actions = { flag "Matched" } }
EOT
    before=$(rss)
    deliver_with bomb "X-Bomb: $(printf '%0500d' 0 | tr 0 a)b" || return 1
    work_flows || return 1
    wait_for 40 queue_says 'parked .*/INBOX/2  rule regex: .*config.lua:[0-9]*: ' || return 1
    deliver tame || return 1
    wait_for 20 is_flagged INBOX tame Tame && keeper_is_flat "$before" && stop_daemon
}

# A parser of such a header calls itself once a group.
a_header_that_nests() {
    bomb <<EOT || return 1
$calm
rule "to" {
  folder = "INBOX", when = to:address "x@y.example" | subject:is "bomb" | subject:is "tame", actions = { flag "Tame" },
}
EOT
    before=$(rss)
    {
        printf 'From: a@b.example\nSubject: bomb\nMessage-ID: <bomb@test>\nTo: '
        head -c 200000 /dev/zero | sed 's/\x00/g:\n /g' | tr -d '\n' | fold -w 900 | sed '2,$s/^/ /'
        printf '\n\nText\n'
    } >"$box/bomb.eml"
    "$TOOLS/lmtp" "$LMTP_PORT" "$user" "$box/bomb.eml" || return 1
    work_flows || return 1
    dealt_with() { is_flagged INBOX bomb Tame || queue_says 'parked'; }
    wait_for 40 dealt_with || return 1
    deliver tame || return 1
    wait_for 20 is_flagged INBOX tame Tame && keeper_is_flat "$before" && stop_daemon
}

# Whoever kills the reader of one message: three times, then the message is set aside.
a_reader_that_dies() {
    bomb <<EOT || return 1
$calm
rule "die" { folder = "INBOX", when = subject:is "bomb", run = function(msg)
  local t = {}
  for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end
end }
rule "tame" { folder = "INBOX", when = subject:is "tame", actions = { flag "Tame" } }
EOT
    explodes die ''
}

retry_and_drop() {
    bomb <<EOT || return 1
$calm
rule "error" { folder = "INBOX", when = subject:starts "bomb", run = function(msg)
  error("not today")
end }
EOT
    deliver bomb bomb2 || return 1
    wait_for 20 queue_says 'INBOX/2  rule error: .*config.lua:[0-9]*: .*not today' || return 1
    wait_for 20 queue_says 'INBOX/3  rule error' || return 1
    first=$("$MAILRULED" queue | awk '/INBOX\/2/ { print $1 }')
    second=$("$MAILRULED" queue | awk '/INBOX\/3/ { print $1 }')
    expect "drop" "$MAILRULED" drop "$first" || return 1
    expect "it is gone from the queue" test "$("$MAILRULED" queue | grep -c INBOX/2)" -eq 0 || return 1
    expect "dropping again says so" test "$("$MAILRULED" drop "$first" >/dev/null 2>&1; echo $?)" -eq 1 || return 1
    sed -i 's/error("not today")/msg:flag "Better"/' "$box/config.lua"
    "$MAILRULED" reload || return 1
    expect "retry" "$MAILRULED" retry "$second" || return 1
    wait_for 20 is_flagged INBOX bomb2 Better || return 1
    expect "the dropped one was left alone" test "$(flags_of INBOX bomb | grep -c Better)" -eq 0 || return 1
    wait_for 10 queue_is_empty && stop_daemon
}

evaluators_of() { pgrep -P "$daemon"; }

evaluators_are_killed() {
    bomb <<EOT || return 1
$calm
EOT
    for round in 1 2 3; do
        wait_for 20 evaluators_of && kill -KILL $(evaluators_of) || return 1
        work_flows || return 1
    done
    keeper_is_flat "$(rss)" && stop_daemon
}

test_case fault_61_a_loop_without_end_is_parked_and_holds_up_nobody a_loop_without_end
test_case fault_61_a_pattern_bomb_is_parked_at_the_third_attempt a_pattern_bomb
test_case fault_61_other_folders_go_on_before_the_bomb_is_parked bomb_while_work_flows
test_case fault_62_an_exploding_regex_is_parked an_exploding_regex
test_case fault_59_a_header_that_overflows_a_parser a_header_that_nests
test_case fault_60_a_rule_that_eats_all_memory a_reader_that_dies
test_case fault_60_evaluators_killed_from_outside_are_replaced evaluators_are_killed
test_case retry_and_drop_of_what_was_parked retry_and_drop
finish
