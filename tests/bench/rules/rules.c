/*
 * What rules cost: messages a second through 10, 100, 1,000 and 10,000 of them, for several kinds of rules. A line a
 * kind: microseconds a message for each number, and how many times dearer the most are than the fewest.
 */
#include "mail/runtime.h"
#include "rules/rules.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char message[] =
    "Received: from a.example.com (a.example.com [192.0.2.1]) by mx.example.org; Tue, 14 Nov 2023 10:00:01 +0100\r\n"
    "From: \"Alice Adams\" <alice@example.com>\r\nTo: Bob <bob@example.org>, carol@example.org\r\n"
    "Subject: =?utf-8?q?Invoice_4711_f=C3=BCr_November_und_noch_etwas_mehr_Text?=\r\n"
    "Message-ID: <20231114.4711@example.com>\r\nDate: Tue, 14 Nov 2023 10:00:00 +0100\r\n"
    "List-Id: Example news <news.example.com>\r\nX-Spam-Flag: NO\r\n\r\n";

static const struct kind {
    const char *name, *rule; /* its number in place of "#" */
} kinds[] = {
    {"sender's domain", "rule 'r#' { when = from:domain 'd#.example.net', actions = { flag 'x' } }\n"},
    {"sender's address", "rule 'r#' { when = from:is 'user#@example.net', actions = { flag 'x' } }\n"},
    {"word in subject", "rule 'r#' { when = subject:contains 'ticket # ', actions = { flag 'x' } }\n"},
    {"list and subject",
     "rule 'r#' { when = list_id:is 'news.example.com' & subject:starts 'x#', actions = { flag 'x' } }\n"},
    {"glob of subject", "rule 'r#' { when = subject:glob 'a*#*b', actions = { flag 'x' } }\n"},
    {"regex of subject", "rule 'r#' { when = subject:regex '(?i)\\\\bticket #\\\\b', actions = { flag 'x' } }\n"},
    {"header of its own", "rule 'r#' { when = header 'X-Kind-#':is 'yes', actions = { flag 'x' } }\n"},
};

static rules *load(const char *folder, const struct kind *kind, int n) {
    static const struct rules_host host = {0};
    g_autofree char *path = g_build_filename(folder, "config.lua", NULL);
    GString *config = g_string_new(NULL);
    wire_message *out = wire_message_new(WIRE_CONFIG);
    rules *set = NULL;

    for (int i = 0; i < n; i++) {
        GString *rule = g_string_new(kind->rule);
        g_autofree char *number = g_strdup_printf("%d", i);
        g_string_replace(rule, "#", number, 0);
        g_string_append(config, rule->str);
        g_string_free(rule, TRUE);
    }
    g_file_set_contents(path, config->str, -1, NULL);
    error *err = rules_load(path, false, &host, out, &set);
    if (err || !set) {
        fprintf(stderr, "%s: %s\n", kind->name, err ? err->text : out->u.config.mistakes[0].text);
    }
    error_free(err);
    wire_message_free(out);
    g_string_free(config, TRUE);
    remove(path);
    return set;
}

static wire_message *make_eval(void) {
    wire_message *m = wire_message_new(WIRE_EVAL);

    m->u.eval.account = wire_str(m, "work");
    m->u.eval.folder = wire_str(m, "INBOX");
    m->u.eval.uid = 1;
    m->u.eval.level = WIRE_LEVEL_HEADER;
    m->u.eval.data = wire_copy(m, message, strlen(message));
    return m;
}

static double measure(rules *set) {
    gint64 start = g_get_monotonic_time(), now;
    int n = 0;

    do {
        rules_job *job = rules_begin(set, make_eval());
        wire_message_free(rules_run(job));
        rules_job_free(job);
        n++;
        now = g_get_monotonic_time();
    } while (now - start < 300000);
    return (double)(now - start) / n;
}

int main(void) {
    mail_runtime *mail = mail_runtime_new();
    g_autofree char *folder = g_dir_make_tmp("mailruled-bench-XXXXXX", NULL);

    printf("%-20s %10s %10s %10s %10s %8s   us a message\n", "rules", "10", "100", "1,000", "10,000", "times");
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        double cost[4] = {0};
        printf("%-20s", kinds[i].name);
        for (int k = 0, n = 10; k < 4; k++, n *= 10) {
            rules *set = load(folder, &kinds[i], n);
            cost[k] = set ? measure(set) : 0;
            rules_free(set);
            printf(" %10.1f", cost[k]);
        }
        printf(" %8.1f\n", cost[3] / cost[0]);
    }
    rmdir(folder);
    mail_runtime_free(mail);
    return 0;
}
