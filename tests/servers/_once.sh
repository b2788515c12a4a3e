# Sourced behind _lib.sh: the rule under test posts a webhook for each message, then moves it to Done.
rules() { # MORE of the account
    config "$1" <<'EOT'
rule "all" { when = from:contains "@", actions = { post "hook", move "Done" } }
EOT
}
begin() { # what the proxy holds or cuts
    start_sink && start_proxy "$@" && rules ''
}
done_are() { has_count Done "$1" && posts "$1" && has_count INBOX 0; }
