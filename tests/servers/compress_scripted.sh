#!/bin/sh
# COMPRESS=DEFLATE with servers that do it wrong: the daemon backs off, comes back, and goes on. Against dialogues.
. "$(dirname "$0")/_lib.sh"
. "$(dirname "$0")/_script.sh"

compressing_rule() {
    config 'compress = true,' <<'EOT'
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
}
begins='C: <t> COMPRESS DEFLATE
alone
S: <t> OK from here on
compress'
moves="$arrival
C: <t> UID MOVE 10 Done
S: * OK [COPYUID 4 10 5] moved
S: * 1 EXPUNGE
S: <t> OK done"

breaks_off() { # STATEMENTS that break it, WORDS of the log
    play 'MOVE UIDPLUS COMPRESS=DEFLATE' <<EOT || return 1
$begins
C: <i> IDLE
S: + idling
$1
reconnect
S: * OK ready again
$begins
$moves
EOT
    compressing_rule && start_daemon || return 1
    wait_for 20 logged "connection lost: .*$2.*again in.*(network)" || return 1
    queue_is_empty_behind 'UID MOVE 10' || return 1
    expect "compressed again" test "$(log_count 'connected to .*compressed)')" -eq 2 && followed
}
damaged() { breaks_off 'W: \xff\xff\xff\xff' 'compressed data are damaged'; }
cut() { breaks_off 'W: \x52
close' 'compressed data end in the middle'; }
bomb() {
    breaks_off 'S-: * OK 
bytes 100000000 x
drain' 'a line is too long'
}

refused() { # ANSWER
    play 'MOVE UIDPLUS COMPRESS=DEFLATE' <<EOT || return 1
C: <t> COMPRESS DEFLATE
alone
S: <t> $1
$moves
EOT
    compressing_rule && start_daemon && queue_is_empty_behind 'UID MOVE 10' || return 1
    expect "the log says so" logged 'offers to compress and does not' || return 1
    expect "one connection" test "$(log_count 'connected to ')" -eq 2 && followed # the transport's, and the account's
}
refused_active() { refused 'NO [COMPRESSIONACTIVE] DEFLATE active via TLS'; }
refused_bad() { refused 'BAD unknown command'; }

test_case compress_damaged_data_end_the_connection_and_it_is_made_again damaged
test_case compress_a_stream_cut_in_a_block_is_made_again cut
test_case fault_17_a_compressed_bomb_ends_the_connection_and_it_is_made_again bomb
test_case compress_refused_as_active_goes_on_without refused_active
test_case compress_refused_as_unknown_goes_on_without refused_bad
finish
