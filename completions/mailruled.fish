# fish completion for mailruled(1)

function __mailruled_command
    contains -- (commandline -opc)[2] $argv
end

complete -c mailruled -f
complete -c mailruled -n __fish_use_subcommand -a run -d 'Watch the accounts and run the rules'
complete -c mailruled -n __fish_use_subcommand -a check -d 'Look for mistakes in the config'
complete -c mailruled -n __fish_use_subcommand -a explain -d 'Show what the rules would do with a message'
complete -c mailruled -n __fish_use_subcommand -a folders -d 'List the folders of an account'
complete -c mailruled -n __fish_use_subcommand -a status -d 'Show what is watched, and what is wrong'
complete -c mailruled -n __fish_use_subcommand -a queue -d 'List what is parked and what waits'
complete -c mailruled -n __fish_use_subcommand -a retry -d 'Try parked messages and dead webhooks again'
complete -c mailruled -n __fish_use_subcommand -a drop -d 'Forget messages of the queue'
complete -c mailruled -n __fish_use_subcommand -a pause -d 'Disconnect an account, or all'
complete -c mailruled -n __fish_use_subcommand -a resume -d 'Connect again'
complete -c mailruled -n __fish_use_subcommand -a reload -d 'Read the config again'
complete -c mailruled -n __fish_use_subcommand -l version -d 'The version'
complete -c mailruled -l help -d 'What it does'
complete -c mailruled -n 'not __fish_use_subcommand' -s c -l config -r -F -d 'The config to use'
complete -c mailruled -n '__mailruled_command run' -l once -d 'Process what is there, then stop'
complete -c mailruled -n '__mailruled_command run' -l dry-run -d 'Decide and log only'
complete -c mailruled -n '__mailruled_command run' -l log-format -x -a 'logfmt json journal'
complete -c mailruled -n '__mailruled_command run' -l log-level -x -a 'error warn notice info debug'
complete -c mailruled -n '__mailruled_command check' -l offline -d 'Contact nobody'
complete -c mailruled -n '__mailruled_command explain' -F
complete -c mailruled -n '__mailruled_command explain' -l account -x -d 'As if it came to this account'
complete -c mailruled -n '__mailruled_command explain' -l folder -x -d 'As if it came into this folder'
complete -c mailruled -n '__mailruled_command explain' -l flags -x -d 'As if it had these flags'
complete -c mailruled -n '__mailruled_command explain' -l event -x -a 'new flags gone' -d 'What happened to it'
complete -c mailruled -n '__mailruled_command explain' -l added -x -d 'Flags that were set'
complete -c mailruled -n '__mailruled_command explain' -l removed -x -d 'Flags that were taken away'
complete -c mailruled -n '__mailruled_command explain status queue' -l json -d 'As JSON'
complete -c mailruled -n '__mailruled_command retry' -l all -d 'Everything that is parked'
