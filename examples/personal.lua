-- One person's mail: two accounts, what is worth a look stays in the inbox, the rest is filed.
--
--   mailruled check -c personal.lua
--   mailruled explain -c personal.lua personal/*.eml

account "home" {
  host     = "imap.example.org",
  user     = "ada@example.org",
  password = secret.file "home.password",               -- beside this file, chmod 600
  watch    = { "INBOX" },
}

account "work" {
  host     = "mail.example.com",
  tls      = "starttls",                                 -- port 143; without it: TLS from the start, port 993
  user     = "ada",
  password = secret.command { "pass", "show", "mail/work" },
  watch    = { "INBOX", "\\Junk" },                      -- a role: whatever the server calls the folder
}

-- Rules are tried in this order. One that moves the message is the last for it.

-- People come first: nothing below may file their mail away.
rule "family" {
  account  = "home",
  when     = from:any_of { "mum@example.net", "byron.example" },
  actions  = { flag "\\Flagged" },
  continue = false,
}

-- ${year} is the year of the message's date; folders that are missing are made.
rule "invoices" {
  when    = attachment.name:glob "*.pdf"
          & (subject:regex [[(?i)\b(invoice|rechnung|receipt)\b]] | text:contains "amount due"),
  actions = { flag "Invoice", move "Paper/${year}" },
}

-- ada+shop@example.org is moved to Plus/shop. The named group of the pattern is there as ${tag}.
rule "plus addresses" {
  account = "home",
  when    = recipient:regex [[(?i)\bada\+(?<tag>[a-z0-9]+)@example\.org]],
  actions = { move "Plus/${tag}" },
}

-- Anything Lua can say, where a table is not enough.
rule "build robot" {
  account = "work",
  when    = from:is "robot@ci.example.com",
  run     = function(msg)
    local project, state = re.match([[^\[(\w+)\] build (passed|failed)]], msg.subject)
    if state == "failed" then
      msg:flag("\\Flagged", "Broken")
    elseif project then
      msg:flag "\\Seen"
      msg:move("Builds/" .. project)
    end
  end,
}

-- Somebody from our own company is never junk. The rule is for the junk folder, others are for the inbox.
rule "not junk" {
  account = "work",
  folder  = "\\Junk",
  when    = from:domain "example.com" & header "Authentication-Results":contains "dmarc=pass",
  actions = { move "INBOX" },
}

local newsletters = require "mailruled.newsletters"
newsletters {
  account = "home",
  folder  = "Newsletters",
  lists   = { ["verse.lists.example"] = "Lists/Verse" },
  from    = { "shop.example" },                          -- does not say that it is a newsletter
}

local autoreplies = require "mailruled.autoreplies"
autoreplies {
  account = "work",
  replies = "Away",
}
