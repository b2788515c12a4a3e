-- What a spam filter before us has found out, into the junk folder.
--
--   local spam = require "mailruled.spam"
--   spam {
--     authserv = "mx.example.com",        -- believe this server's Authentication-Results: a failed DMARC is spam
--     score = 8,                          -- X-Spam-Score from here on (SpamAssassin's and rspamd's)
--     never = { "friend@example.org" },   -- senders (addresses or domains) that are never spam
--     account = "home", watch = "INBOX", name = "spam",
--   }
--
-- X-Spam-Flag and X-Spam-Status (SpamAssassin), X-Spam (rspamd) and X-Bogosity (bogofilter) count without being asked
-- for. A sender could write such a header too, but only to harm himself. Authentication-Results is believed from the
-- named server alone, since everybody on the way may add one.

local options = require "mailruled.options"

return function(given)
  local o = options.read("mailruled.spam", given, {
    authserv = { "string", nil, optional = true },
    score = { "number", nil, optional = true },
    never = { "table", {} },
    account = { "string", nil, optional = true },
    watch = { "string", "INBOX" },
    name = { "string", "spam" },
  })
  local unless = #o.never > 0 and ~from:any_of(o.never) or nil

  local function add(name, when)
    rule(o.name .. ": " .. name) {
      account = o.account,
      folder = o.watch,
      when = options.both(when, unless),
      actions = { junk },
    }
  end

  add("verdict", header "X-Spam-Flag":is "YES"
    | header "X-Spam-Status":starts "Yes"
    | header "X-Spam":is "Yes"
    | header "X-Bogosity":starts "Spam")
  if o.authserv then
    add("dmarc", header "Authentication-Results":regex(
      [[(?is)^\s*]] .. re.escape(o.authserv) .. [[\b[^;]*;.*\bdmarc=fail\b]]))
  end
  if o.score then
    rule(o.name .. ": score") {
      account = o.account,
      folder = o.watch,
      when = options.both(header "X-Spam-Score":exists(), unless),
      run = function(msg)
        local score = tonumber(re.match([[-?\d+(?:\.\d+)?]], msg:header "X-Spam-Score"))
        if score and score >= o.score then
          msg:junk()
        end
      end,
    }
  end
end
