-- What `make demo` runs. The three @...@ are filled in by examples/demo.sh with the ports of the moment.

account "demo" {
  host     = "127.0.0.1",
  port     = @IMAPS_PORT@,
  tls_ca   = "@CA@",
  user     = "user1",
  password = secret.file "password",
  watch    = { "INBOX" },
}

webhook "helpdesk" {
  url           = "http://127.0.0.1:@HOOK_PORT@/mail",
  secret        = secret.file "webhook.key",
  allow_private = true,                     -- the receiver is on this machine
  include       = { "text" },
}

-- A ticket is posted first and moved only once the help desk has accepted it.
rule "tickets" {
  when    = to:address "support@example.com" & ~is_auto,
  actions = { post "helpdesk", move "Tickets" },
}

rule "invoices" {
  when    = subject:regex [[(?i)\binvoice\s+#?(?<number>\d+)]] & attachment.name:glob "*.pdf",
  actions = { flag "Invoice", move "Invoices/${year}" },
}

rule "newsletters" {
  when    = is_list,
  actions = { flag "\\Seen", move "Newsletters" },
}

rule "spam" {
  when    = header"X-Spam-Flag":is "YES",
  actions = { junk() },
}

-- Any Lua, when a table is not enough.
rule "boss" {
  when = from:domain "boss.example",
  run  = function(msg)
    msg:flag "\\Flagged"
    if msg.text and msg.text:find("today", 1, true) then
      msg:flag "Urgent"
    end
  end,
}
