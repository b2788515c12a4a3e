#include "reply_priv.h"

#include <stdbool.h>
#include <string.h>

#define ATTRIBUTION_LINES 4
#define ATTRIBUTION_MAX 600 /* bytes */
#define HEADER_BLOCK_LINES 7

struct line {
    const char *start; /* without white space around it */
    size_t len;
    const char *whole; /* with it */
    size_t whole_len;
};

struct lines {
    struct line *list;
    size_t count;
};

/* --- lines -------------------------------------------------------------------------------------------------------- */

static struct line read_line(const char *p, const char *stop) {
    struct line line = {.whole = p, .whole_len = (size_t)(stop - p)};

    while (p < stop && g_ascii_isspace(*p)) {
        p++;
    }
    while (stop > p && g_ascii_isspace(stop[-1])) {
        stop--;
    }
    line.start = p;
    line.len = (size_t)(stop - p);
    return line;
}

static bool is_quoted(const struct line *line) {
    return line->len && *line->start == '>';
}

static bool line_is(const struct line *line, const char *text) {
    return strlen(text) == line->len && memcmp(line->start, text, line->len) == 0;
}

static bool made_of(const struct line *line, const char *chars, size_t at_least) {
    for (size_t i = 0; i < line->len; i++) {
        if (!strchr(chars, line->start[i])) {
            return false;
        }
    }
    return line->len >= at_least;
}

static size_t next_filled(const struct lines *lines, size_t i) {
    while (i < lines->count && !lines->list[i].len) {
        i++;
    }
    return i;
}

static bool quote_follows(const struct lines *lines, size_t i) {
    i = next_filled(lines, i);
    return i < lines->count && is_quoted(&lines->list[i]);
}

/* --- "On 2 April 2012, Bob wrote:" -------------------------------------------------------------------------------- */

static const char *const wrote[] = {
    "wrote",  "writes", "a écrit", "schrieb", "ha scritto", "escribió", "escreveu", "schreef", "geschreven", "skrev",
    "napisał", "пишет",  "писал",   "написал", "написав",    "kirjoitti", "yazdı",   "έγραψε",  "írta",       "napsal",
    "写道",   "のメッセージ", "작성",  "đã viết", "a scris",   "написа",  "כתב",      "kirjutas", "rakstīja",  "rašė",
};

static const char *const openers[] = {"On ", "Le ",  "Am ", "Il ",      "El ",   "Em ",  "Op ", "Den ",
                                      "På ", "Dne ", "Dnia ", "W dniu ", "Ngày ", "Pada ", "Στις "};

static bool has_verb_at_end(const char *text, size_t len) {
    size_t tail = MIN(len, 48);

    for (size_t i = 0; i < G_N_ELEMENTS(wrote); i++) {
        if (memmem(text + len - tail, tail, wrote[i], strlen(wrote[i]))) {
            return true;
        }
    }
    return false;
}

static bool opens(const struct line *line) {
    for (size_t i = 0; i < G_N_ELEMENTS(openers); i++) {
        size_t n = strlen(openers[i]);
        if (line->len > n && memcmp(line->start, openers[i], n) == 0) {
            return true;
        }
    }
    return line->len && g_ascii_isdigit(*line->start);
}

static bool ends_in_colon(const char *text, size_t len) {
    return len && (text[len - 1] == ':' || (len >= 3 && memcmp(text + len - 3, "：", 3) == 0));
}

static bool has_digit(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (g_ascii_isdigit(text[i])) {
            return true;
        }
    }
    return false;
}

/* text is lines i to j - 1 joined. */
static bool introduces_quote(const struct lines *lines, size_t i, size_t j, const char *text, size_t len) {
    bool at = memchr(text, '@', len) != NULL, digit = has_digit(text, len), colon = ends_in_colon(text, len);

    if (colon && has_verb_at_end(text, len) && (at || digit)) {
        return j == i + 1 || opens(&lines->list[i]);
    }
    if (!quote_follows(lines, j) || !at || !digit) {
        return false;
    }
    /* a language we do not know, or "2012/4/2 Bob <bob@example.com>" */
    return (colon && (j == i + 1 || opens(&lines->list[i]))) || (g_ascii_isdigit(*text) && text[len - 1] == '>');
}

/* How many lines from i on introduce a quote; 0 if they do not. */
static size_t attribution(const struct lines *lines, size_t i) {
    char text[ATTRIBUTION_MAX];
    size_t len = 0;

    for (size_t j = i; j < lines->count && j < i + ATTRIBUTION_LINES; j++) {
        const struct line *line = &lines->list[j];
        if (!line->len || is_quoted(line) || len + line->len + 1 > sizeof text) {
            return 0;
        }
        if (len) {
            text[len++] = ' ';
        }
        memcpy(text + len, line->start, line->len);
        len += line->len;
        if (introduces_quote(lines, i, j + 1, text, len)) {
            return j + 1 - i;
        }
        if (ends_in_colon(text, len)) {
            return 0;
        }
    }
    return 0;
}

/* --- "-----Original Message-----" and header blocks --------------------------------------------------------------- */

static const char *const separators[] = {
    "Original Message",        "Original message",       "Original Appointment", "Forwarded message",
    "Forwarded Message",       "Reply message",          "Ursprüngliche Nachricht", "Originalnachricht",
    "Weitergeleitete Nachricht", "Message d'origine",    "Message original",     "Message transféré",
    "Mensaje original",        "Mensaje reenviado",      "Mensagem original",    "Mensagem encaminhada",
    "Messaggio originale",     "Messaggio inoltrato",    "Oorspronkelijk bericht", "Doorgestuurd bericht",
    "Alkuperäinen viesti",     "Ursprungligt meddelande", "Vidarebefordrat meddelande", "Oprindelig meddelelse",
    "Opprinnelig melding",     "Исходное сообщение",     "Пересылаемое сообщение", "Wiadomość oryginalna",
    "Oryginalna wiadomość",    "Původní zpráva",         "Eredeti üzenet",       "原始邮件",
    "转发邮件",                "元のメッセージ",         "Original-Nachricht",   "Orijinal Mesaj",
};

/* Dashes, one of those phrases, dashes. */
static bool is_separator(const struct line *line) {
    size_t front = 0;

    while (front < line->len && strchr("-_=* ", line->start[front])) {
        front++;
    }
    if (front < 2 || line->len > 120) {
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(separators); i++) {
        size_t n = strlen(separators[i]);
        if (line->len >= front + n && g_ascii_strncasecmp(line->start + front, separators[i], n) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_forward_line(const struct line *line) {
    return line_is(line, "Begin forwarded message:") || line_is(line, "Anfang der weitergeleiteten Nachricht:") ||
           line_is(line, "Début du message réexpédié :") || line_is(line, "Inizio messaggio inoltrato:");
}

/* The sets of names that a header block has; one name of each language. */
static const char *const header_names[4][24] = {
    {"From", "Von", "De", "Da", "Van", "Från", "Fra", "Lähettäjä", "Od", "От", "От кого", "Feladó", "Kimden", "发件人",
     "寄件者", "差出人", "보낸 사람", NULL},
    {"Sent", "Date", "Gesendet", "Datum", "Envoyé", "Enviado", "Enviado el", "Enviada em", "Fecha", "Data", "Inviato",
     "Verzonden", "Skickat", "Sendt", "Dato", "Lähetetty", "Wysłano", "Отправлено", "Дата", "Odesláno", "发送时间",
     "送信日時", "보낸 날짜", NULL},
    {"To", "An", "À", "A", "Para", "Aan", "Till", "Til", "Vastaanottaja", "Do", "Кому", "Komu", "Címzett", "Kime",
     "收件人", "收件者", "宛先", "받는 사람", NULL},
    {"Subject", "Betreff", "Objet", "Asunto", "Assunto", "Oggetto", "Onderwerp", "Ämne", "Emne", "Aihe", "Temat",
     "Тема", "Předmět", "Tárgy", "Konu", "主题", "主旨", "件名", "제목", NULL},
};

/* Which of the sets the line's name belongs to; -1 if to none. */
static int header_set(const struct line *line) {
    const char *p = line->start, *end = p + line->len;

    if (!memchr(p, ':', MIN(line->len, 40)) && !memmem(p, MIN(line->len, 40), "：", 3)) {
        return -1;
    }
    while (p < end && (*p == '*' || *p == ' ')) {
        p++;
    }
    for (int set = 0; set < 4; set++) {
        for (const char *const *name = header_names[set]; *name; name++) {
            size_t n = strlen(*name);
            const char *after = p + n;
            if ((size_t)(end - p) <= n || g_ascii_strncasecmp(p, *name, n) != 0) {
                continue;
            }
            while (after < end && (*after == ' ' || *after == '*')) {
                after++;
            }
            if (after < end && (*after == ':' || (end - after >= 3 && memcmp(after, "：", 3) == 0))) {
                return set;
            }
        }
    }
    return -1;
}

/* Three of From, Date, To and Subject within a few lines, the first of them here. */
static bool is_header_block(const struct lines *lines, size_t i) {
    unsigned seen = 0, sets = 0;

    if (header_set(&lines->list[i]) < 0) {
        return false;
    }
    for (size_t j = i; j < lines->count && j < i + HEADER_BLOCK_LINES; j++) {
        int set = header_set(&lines->list[j]);
        if (set >= 0 && !(seen & (1u << set))) {
            seen |= 1u << set;
            sets++;
        }
    }
    return sets >= 3;
}

/* --- signatures --------------------------------------------------------------------------------------------------- */

static bool starts_signature(const struct line *line) {
    return line_is(line, "--") || line_is(line, "__") || line_is(line, "—") || made_of(line, "_", 30);
}

/* "Sent from my iPhone": a few words, and nothing of the text behind it. */
static bool is_device_line(const struct lines *lines, size_t i) {
    static const char *const phrases[] = {"Sent from my ",        "Sent from Mail for ", "Sent from Yahoo Mail",
                                          "Get Outlook for ",     "Von meinem ",         "Gesendet von ",
                                          "Envoyé de mon ",       "Enviado desde mi ",   "Enviado do meu ",
                                          "Inviato da ",          "Verzonden vanaf ",    "Skickat från min ",
                                          "Отправлено с ",        "Wysłane z ",          "Sent via "};
    const struct line *line = &lines->list[i];
    unsigned words = 1;

    for (size_t k = 0; k < G_N_ELEMENTS(phrases); k++) {
        size_t n = strlen(phrases[k]);
        if (line->len < n || g_ascii_strncasecmp(line->start, phrases[k], n) != 0) {
            continue;
        }
        for (size_t c = 0; c < line->len; c++) {
            words += line->start[c] == ' ';
        }
        return words <= 8 && (i + 1 == lines->count || !lines->list[i + 1].len || is_quoted(&lines->list[i + 1]) ||
                              attribution(lines, i + 1));
    }
    return false;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

struct result {
    GString *out;
    size_t blanks;  /* empty lines since the last one kept */
    bool gap;       /* something was left out since */
    gsize last;     /* where the last line kept starts in out */
};

static void keep(struct result *r, const struct line *line) {
    if (!line->len) {
        r->blanks++;
        return;
    }
    size_t blanks = !r->out->len ? 0 : r->gap ? 1 : r->blanks;
    for (size_t i = 0; i < blanks; i++) {
        g_string_append_c(r->out, '\n');
    }
    r->blanks = 0;
    r->gap = false;
    r->last = r->out->len;
    g_string_append_len(r->out, line->whole, (gssize)line->whole_len);
    g_string_append_c(r->out, '\n');
}

/* The rule that a mail program draws above the original. */
static void drop_rule(struct result *r) {
    if (r->out->len) {
        struct line line = read_line(r->out->str + r->last, r->out->str + r->out->len);
        if (made_of(&line, "-_=*", 2)) {
            g_string_truncate(r->out, r->last);
        }
    }
    while (r->out->len > 1 && r->out->str[r->out->len - 2] == '\n') {
        g_string_truncate(r->out, r->out->len - 1);
    }
}

static bool original_starts(const struct lines *lines, size_t i, const struct result *r) {
    const struct line *line = &lines->list[i];

    if (is_separator(line) || is_forward_line(line)) {
        return true;
    }
    return r->out->len && is_header_block(lines, i); /* at the top it is a form that was mailed */
}

static void extract(const struct lines *lines, struct result *r) {
    for (size_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->list[i];
        size_t n;

        if (!line->len) {
            keep(r, line);
        } else if (is_quoted(line) || is_device_line(lines, i)) {
            r->gap = true;
        } else if (starts_signature(line) || original_starts(lines, i, r)) {
            break;
        } else if ((n = attribution(lines, i))) {
            if (!quote_follows(lines, i + n)) {
                break;
            }
            i += n - 1;
            r->gap = true;
        } else {
            keep(r, line);
        }
    }
    drop_rule(r);
}

void reply_extract(const char *text, size_t len, GString *out) {
    GArray *list = g_array_new(FALSE, FALSE, sizeof(struct line));
    const char *end = text + len;

    g_string_truncate(out, 0);
    while (text < end) {
        const char *lf = memchr(text, '\n', (size_t)(end - text));
        struct line line = read_line(text, lf ? lf : end);
        g_array_append_val(list, line);
        text = lf ? lf + 1 : end;
    }
    struct lines lines = {(struct line *)(void *)list->data, list->len};
    struct result result = {.out = out};
    extract(&lines, &result);
    g_string_truncate(out, MIN(out->len, len)); /* the last line may have had no end */
    g_array_free(list, TRUE);
}
