---@meta mailruled
-- What mailruled's configuration and rules can use, for editors (LuaLS: put this folder into workspace.library).
-- The manual is mailruled-config(5) and mailruled-rules(7).

--------------------------------------------------------------------------------------------------------------------
-- Conditions
--------------------------------------------------------------------------------------------------------------------

---A condition. `a & b`, `a | b` and `~a` make new ones.
---@class mailruled.Condition
---@operator band(mailruled.Condition): mailruled.Condition
---@operator bor(mailruled.Condition): mailruled.Condition
---@operator bnot: mailruled.Condition

---@class mailruled.TestOptions
---@field case? boolean  upper and lower case differ

---A field of text. Text is decoded and compared without regard to case unless the test says otherwise. A list of
---operands holds if one of them does.
---@class mailruled.TextField
local TextField = {}
---The whole value.
---@param text string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function TextField:is(text, options) end
---@param text string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function TextField:contains(text, options) end
---@param text string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function TextField:starts(text, options) end
---@param text string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function TextField:ends(text, options) end
---`*` any text, `?` one character, `[a-z]` one of these.
---@param pattern string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function TextField:glob(pattern, options) end
---A Perl-compatible regular expression; its groups become captures.
---@param pattern string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function TextField:regex(pattern, options) end
---The field is there.
---@return mailruled.Condition
function TextField:exists() end
---One of these is the whole value.
---@param list string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function TextField:any_of(list, options) end
---One line of the file (below the config's folder) is the whole value.
---@param path string
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function TextField:in_file(path, options) end

---A field of addresses: a test holds if it holds for one of them.
---@class mailruled.AddressField
local AddressField = {}
---The address is this.
---@param address string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function AddressField:is(address, options) end
---Name and address, as `Name <local@domain>`, contain this.
---@param text string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function AddressField:contains(text, options) end
---@param text string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function AddressField:starts(text, options) end
---@param text string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function AddressField:ends(text, options) end
---@param pattern string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function AddressField:glob(pattern, options) end
---@param pattern string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function AddressField:regex(pattern, options) end
---@return mailruled.Condition
function AddressField:exists() end
---@param list string[]  addresses, or domains: "example.com", "@example.com"
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function AddressField:any_of(list, options) end
---@param path string  a file of addresses and domains, one a line
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function AddressField:in_file(path, options) end
---The address is this; the same as `is`.
---@param address string|string[]
---@param options? mailruled.TestOptions
---@return mailruled.Condition
function AddressField:address(address, options) end
---The domain is this; "*.example.com" is every domain below it.
---@param domain string|string[]
---@return mailruled.Condition
function AddressField:domain(domain) end

---@class mailruled.NumberField
local NumberField = {}
---@param limit string|number  "5MB", "7d"
---@return mailruled.Condition
function NumberField:over(limit) end
---@param limit string|number
---@return mailruled.Condition
function NumberField:under(limit) end

---@class mailruled.ThingField
local ThingField = {}
---@return mailruled.Condition
function ThingField:exists() end

---@class mailruled.AttachmentField: mailruled.ThingField
---@field name mailruled.TextField  file names
---@field type mailruled.TextField  "application/pdf"

---@type mailruled.AddressField
from = nil
---@type mailruled.AddressField
to = nil
---@type mailruled.AddressField
cc = nil
---@type mailruled.AddressField
bcc = nil
---@type mailruled.AddressField
reply_to = nil
---@type mailruled.AddressField
sender = nil
---Everyone the message went to: To, Cc, Bcc, Delivered-To, X-Original-To and their like.
---@type mailruled.AddressField
recipient = nil
---@type mailruled.TextField
subject = nil
---@type mailruled.TextField
list_id = nil
---The text a person reads.
---@type mailruled.TextField
text = nil
---The text, and the HTML it may come from.
---@type mailruled.TextField
body = nil
---@type mailruled.AttachmentField
attachment = nil
---@type mailruled.TextField
attachment.name = nil
---@type mailruled.TextField
attachment.type = nil
---Of the whole message: `size:over "5MB"`.
---@type mailruled.NumberField
size = nil
---Since it arrived: `age:over "30d"`.
---@type mailruled.NumberField
age = nil
---Sent by a program: nothing may answer it.
---@type mailruled.Condition
is_auto = nil
---A delivery report.
---@type mailruled.Condition
is_bounce = nil
---Came through a mailing list or a bulk mailer.
---@type mailruled.Condition
is_list = nil
---@type mailruled.Condition
is_reply = nil
---@type mailruled.Condition
is_encrypted = nil
---@type mailruled.Condition
is_signed = nil

---Any header field: `header "X-Spam-Flag":is "YES"`.
---@param name string
---@return mailruled.TextField
function header(name) end
---@param name string  "\\Seen" or a keyword
---@return mailruled.Condition
function has_flag(name) end
---Of a rule with on = "flags": somebody has just set it.
---@param name string  "\\Seen" or a keyword
---@return mailruled.Condition
function flag_added(name) end
---Of a rule with on = "flags": somebody has just taken it away.
---@param name string  "\\Seen" or a keyword
---@return mailruled.Condition
function flag_removed(name) end
---@param list mailruled.Condition[]
---@return mailruled.Condition
function all(list) end
---@param list mailruled.Condition[]
---@return mailruled.Condition
function any(list) end
---@param list mailruled.Condition[]
---@return mailruled.Condition
function none(list) end

--------------------------------------------------------------------------------------------------------------------
-- Actions
--------------------------------------------------------------------------------------------------------------------

---@class mailruled.Action

---@class mailruled.FolderOptions
---@field create? boolean  make the folder if it is missing (default: true, or what `defaults` says)

---@param folder string  may contain ${year}, ${from.domain}, ${1}, ...: see mailruled-rules(7)
---@param options? mailruled.FolderOptions
---@return mailruled.Action
function move(folder, options) end
---@param folder string
---@param options? mailruled.FolderOptions
---@return mailruled.Action
function copy(folder, options) end
---@param ... string  "\\Flagged", or keywords
---@return mailruled.Action
function flag(...) end
---@param ... string
---@return mailruled.Action
function unflag(...) end
---@param webhook string
---@return mailruled.Action
function post(webhook) end
---@type mailruled.Action
delete = nil
---@type mailruled.Action
junk = nil
---@type mailruled.Action
archive = nil
---No later rule looks at the message.
---@type mailruled.Action
stop = nil
---Not available yet, as are the six below.
---@return mailruled.Action
function label(...) end
---@return mailruled.Action
function append(...) end
---@return mailruled.Action
function forward(...) end
---@return mailruled.Action
function reply(...) end
---@return mailruled.Action
function pipe(...) end
---@return mailruled.Action
function save(...) end
---@return mailruled.Action
function notify(...) end

--------------------------------------------------------------------------------------------------------------------
-- The configuration
--------------------------------------------------------------------------------------------------------------------

---@class mailruled.Secret

---@class mailruled.OAuth2
---@field provider "google"|"microsoft"|"yahoo"|table
---@field client_id string
---@field client_secret? mailruled.Secret|string
---@field refresh_token? mailruled.Secret|string

---@class mailruled.Account
---@field host string
---@field user string
---@field password? mailruled.Secret|string
---@field port? integer
---@field tls? "implicit"|"starttls"|"none"
---@field tls_ca? string
---@field auth? "auto"|"plain"|"login"|"cram-md5"|"xoauth2"|"oauthbearer"|"external"
---@field oauth2? mailruled.OAuth2
---@field proxy? string
---@field watch? string[]
---@field backlog? string  "none", "all" or "7d"
---@field connections? integer
---@field idle_renew? string|number
---@field poll? string|number
---@field reconcile? string|number
---@field timeout? string|number
---@field compress? boolean
---@field allow_expunge? boolean
---@field disable_extensions? string[]
---@field behaves_like? string

---@class mailruled.Webhook
---@field url string
---@field method? "POST"|"PUT"|"PATCH"
---@field headers? table<string, string>
---@field secret? mailruled.Secret|string|(mailruled.Secret|string)[]
---@field timeout? string|number
---@field retries? (string|number)[]
---@field concurrency? integer
---@field include? ("text"|"html"|"attachments"|"raw")[]
---@field max_size? string|number
---@field payload? fun(msg: mailruled.Message): table|string
---@field allow_private? boolean

---@class mailruled.Rule
---@field account? string|string[]
---@field folder? string|string[]
---@field on? "new"|"flags"|"gone"|any  or every "1d"
---@field when? mailruled.Condition
---@field actions? mailruled.Action[]
---@field run? fun(msg: mailruled.Message)
---@field continue? boolean
---@field dry_run? boolean
---@field own? boolean
---@field limit? integer
---@field on_error? "park"|"skip"

---@param name string
---@return fun(options: mailruled.Account)
function account(name) end
---@param name string
---@return fun(options: mailruled.Webhook)
function webhook(name) end
---@param name string
---@return fun(options: mailruled.Rule)
function rule(name) end
---For `on` of a rule: `on = every "1d"`.
---@param duration string
function every(duration) end
---@param path string  relative to this file, may be a glob: "rules/*.lua"
function include(path) end
---@param options table
function defaults(options) end
---@param folder string
function state(folder) end
---@param path string
function control(path) end
---@param address string
function metrics(address) end

---@class mailruled.secretlib
secret = {}
---@param path string
---@return mailruled.Secret
function secret.file(path) end
---@param name string
---@return mailruled.Secret
function secret.env(name) end
---@param argv string[]
---@return mailruled.Secret
function secret.command(argv) end
---@param name string  below $CREDENTIALS_DIRECTORY
---@return mailruled.Secret
function secret.credential(name) end

--------------------------------------------------------------------------------------------------------------------
-- The message, as `run` and `payload` get it
--------------------------------------------------------------------------------------------------------------------

---@class mailruled.Address
---@field name string  display name, "" if none
---@field address string  local@domain
---@field local_part string
---@field domain string  lower case

---@class mailruled.Attachment
---@field name string  file name, "" if none
---@field type string  "application/pdf"
---@field size integer
---@field content string  fetched when it is read
---@field sha256? string  hexadecimal; nil if the content is above the limit
---@field content_id string
---@field is_inline boolean

---@class mailruled.Date
---@field epoch integer  seconds since 1970, UTC
---@field offset integer  seconds east of UTC
---@operator sub(mailruled.Date): integer
---@operator sub(string): mailruled.Date
---@operator add(string): mailruled.Date
local Date = {}
---@return integer
function Date:year() end
---@return integer
function Date:month() end
---@return integer
function Date:day() end
---@return integer
function Date:hour() end
---@return integer
function Date:minute() end
---@return integer
function Date:second() end
---1 is Monday.
---@return integer
function Date:weekday() end
---@return integer
function Date:yearday() end
---@param format? string  as strftime: "%Y-%m"
---@return string
function Date:format(format) end
---RFC 3339.
---@return string
function Date:iso() end
---@return mailruled.Date
function Date:utc() end
---In the time zone of this machine.
---@return mailruled.Date
function Date:local_time() end

---@class mailruled.Message
---@field account string
---@field folder string
---@field uid integer
---@field rule string  name of the rule that runs
---@field event "new"|"flags"|"gone"  what happened: the rule's `on`
---@field flags table<string, true>  after a change; of a message that is gone, as last known
---@field flags_added table<string, true>  with event "flags": what somebody has set
---@field flags_removed table<string, true>  with event "flags": what somebody has taken away
---@field size integer
---@field date mailruled.Date  as written; when it arrived if it does not say
---@field age integer  seconds since it arrived
---@field subject string
---@field from mailruled.Address  the first; of empty strings if there is none
---@field to mailruled.Address[]
---@field cc mailruled.Address[]
---@field reply_to mailruled.Address[]
---@field recipient mailruled.Address[]  everyone it went to
---@field message_id? string
---@field in_reply_to? string
---@field references string[]
---@field list_id? string
---@field thread_key? string  the same for all messages of a conversation
---@field text string
---@field reply_text string  without quotes and signature
---@field html string
---@field raw string  the whole message as it is
---@field attachments mailruled.Attachment[]
---@field headers table<string, string[]>  any case; pairs() gives all
---@field captures table<string, string>
---@field reasons string[]  why it is auto, bounce, list or reply
---@field is_auto boolean
---@field is_bounce boolean
---@field is_list boolean
---@field is_reply boolean
---@field is_encrypted boolean
---@field is_signed boolean
---@field unparsable boolean
local Message = {}
---The first value of a header field.
---@param name string
---@return string?
function Message:header(name) end
---@param name string
---@return boolean
function Message:has_flag(name) end
---What a group of the rule's regular expressions matched.
---@param name string|integer
---@return string?
function Message:capture(name) end
---@param folder string
---@param options? mailruled.FolderOptions
function Message:move(folder, options) end
---@param folder string
---@param options? mailruled.FolderOptions
function Message:copy(folder, options) end
---@param ... string|string[]
function Message:flag(...) end
---@param ... string|string[]
function Message:unflag(...) end
---To the folder for deleted mail.
function Message:delete() end
function Message:junk() end
function Message:archive() end
---@param webhook string
---@param extra? table  becomes "extra" in the body
function Message:post(webhook, extra) end
---No later rule looks at the message.
function Message:stop() end

--------------------------------------------------------------------------------------------------------------------
-- Libraries
--------------------------------------------------------------------------------------------------------------------

---@class mailruled.Pattern
local Pattern = {}
---@param subject string
---@param init? integer
---@return boolean
function Pattern:test(subject, init) end
---@param subject string
---@param init? integer
---@return integer?, integer?, ...
function Pattern:find(subject, init) end
---@param subject string
---@param init? integer
---@return string|false|nil, ...
function Pattern:match(subject, init) end
---@param subject string
---@param init? integer
---@return table?
function Pattern:captures(subject, init) end
---@param subject string
---@return fun(): string|false|nil, ...
function Pattern:gmatch(subject) end
---@param subject string
---@param replacement string|table|function
---@param n? integer
---@return string, integer
function Pattern:gsub(subject, replacement, n) end

---@class mailruled.relib
re = {}
---@param pattern string
---@param flags? "i"
---@return mailruled.Pattern
function re.compile(pattern, flags) end
---@param pattern string|mailruled.Pattern
---@param subject string
---@param init? integer
---@return boolean
function re.test(pattern, subject, init) end
---@param pattern string|mailruled.Pattern
---@param subject string
---@param init? integer
---@return integer?, integer?, ...
function re.find(pattern, subject, init) end
---@param pattern string|mailruled.Pattern
---@param subject string
---@param init? integer
---@return string|false|nil, ...
function re.match(pattern, subject, init) end
---@param pattern string|mailruled.Pattern
---@param subject string
---@param init? integer
---@return table?  0 is the whole match, then the groups by number and name
function re.captures(pattern, subject, init) end
---@param pattern string|mailruled.Pattern
---@param subject string
---@return fun(): string|false|nil, ...
function re.gmatch(pattern, subject) end
---@param pattern string|mailruled.Pattern
---@param subject string
---@param replacement string|table|function  in a string: $0, $1, ${name}, $$
---@param n? integer
---@return string, integer
function re.gsub(pattern, subject, replacement, n) end
---@param text string
---@return string
function re.escape(text) end

---@class mailruled.jsonlib
json = {}
---@param value any
---@return string
function json.encode(value) end
---@param text string
---@return any, string?  nil and what is wrong
function json.decode(text) end
---Makes a table a list, also when it is empty.
---@param list? table
---@return table
function json.array(list) end
json.null = nil

---@class mailruled.loglib
log = {}
function log.debug(...) end
function log.info(...) end
function log.warn(...) end
function log.error(...) end

---@class mailruled.Space
local Space = {}
---@param key string
---@return any, string?
function Space:get(key) end
---@param key string
---@param value any
---@param ttl? string|number
---@return true?, string?
function Space:set(key, value, ttl) end
---@param key string
---@return true?, string?
function Space:delete(key) end
---@param key string
---@param delta? integer
---@param ttl? string|number
---@return integer?, string?
function Space:incr(key, delta, ttl) end

---@class mailruled.kvlib
kv = {}
---@param key string
---@return any, string?  nil and why, if it could not be asked for
function kv.get(key) end
---@param key string
---@param value any  what json.encode takes
---@param ttl? string|number
---@return true?, string?
function kv.set(key, value, ttl) end
---@param key string
---@return true?, string?
function kv.delete(key) end
---@param key string
---@param delta? integer
---@param ttl? string|number  counts when the key is made
---@return integer?, string?
function kv.incr(key, delta, ttl) end
---@param name string
---@return mailruled.Space
function kv.space(name) end

---@class mailruled.Response
---@field status integer
---@field body string
---@field headers table<string, string>  names in lower case
---@field truncated boolean
local Response = {}
---@return any, string?
function Response:json() end

---@class mailruled.HttpOptions
---@field headers? table<string, string>
---@field timeout? string|number
---@field allow_private? boolean

---@class mailruled.httplib
http = {}
---@param url string
---@param options? mailruled.HttpOptions
---@return mailruled.Response?, string?  nil and why
function http.get(url, options) end
---@param url string
---@param body? string|table  a table is sent as JSON
---@param options? mailruled.HttpOptions
---@return mailruled.Response?, string?
function http.post(url, body, options) end

---@class mailruled.timelib
time = {}
---When this message's evaluation began; the same for all its rules.
---@return mailruled.Date
function time.now() end
---@param text string|integer  RFC 3339, a date alone, or seconds since 1970
---@return mailruled.Date?, string?
function time.parse(text) end
---@param date mailruled.Date|integer
---@param format? string
---@return string
function time.format(date, format) end
---@param text string|number
---@return number  seconds
function time.duration(text) end
