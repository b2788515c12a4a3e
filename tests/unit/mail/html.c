#include "src/mail/html_priv.h"
#include "tests/unit/mail/mail_test.h"

static void assert_html(const char *html, const char *expected) {
    GString *out = g_string_new(NULL);

    assert_true(html_to_text(html, strlen(html), 1 << 20, out));
    assert_string_equal(out->str, expected);
    g_string_free(out, TRUE);
}

static void blocks_make_lines_and_white_space_is_one_space(void **state) {
    (void)state;
    assert_html("a  b\n c<br>d<div>e</div>f<p>g<p>h", "a b c\nd\ne\nf\n\ng\n\nh\n");
    assert_html("<div>a</div><div><br></div><div>b</div>", "a\n\nb\n");
    assert_html("<tr><td>a</td><td>b</td></tr><tr><td>c</td></tr>", "a b\nc\n");
    assert_html("<p>a</p><p>&nbsp;</p><p>&nbsp;</p><p>b</p>", "a\n\nb\n");
    assert_html("", "");
}

static void preformatted_text_keeps_its_lines(void **state) {
    (void)state;
    assert_html("x<pre>  a\n   b</pre>y z", "x\n  a\n   b\ny z\n");
}

static void character_references_are_replaced(void **state) {
    (void)state;
    assert_html("&lt;b&gt; &amp;amp; &euro;&#8364;&#x20AC;&#128; &eacute &bogus; & &#0;&#xD800;&#99999999999;",
                "<b> &amp; €€€€ é &bogus; & \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n");
}

static void what_is_no_text_is_dropped(void **state) {
    (void)state;
    assert_html("<html><head><title>t</title><style>p{}</style></head>a<script>if (a<b) x('</p>')</SCRIPT >b<!-- c -->d"
                "<![if x]>e<?xml y?>f", "abdef\n");
    assert_html("a&shy;b\xe2\x80\x8b" "c", "abc\n");
}

static void links_are_kept_unless_they_say_themselves(void **state) {
    (void)state;
    assert_html("<a href=\"https://x.example/?a=1&amp;b=2\">here</a>.", "here <https://x.example/?a=1&b=2>.\n");
    assert_html("<a href='http://x.example/'>x.example</a> <a href=http://y.example>http://y.example/</a>",
                "x.example http://y.example/\n");
    assert_html("<a href=\"mailto:a@b\">a@b</a> <a href=\"javascript:x\">j</a> <a name=y>n</a>", "a@b j n\n");
}

static void quotes_and_lists_are_marked(void **state) {
    (void)state;
    assert_html("a<blockquote>b<br>c<p>d<blockquote>e</blockquote></blockquote>f",
                "a\n\n> b\n> c\n>\n> d\n>\n>> e\n\nf\n");
    assert_html("<ul><li>one<li>two</ul>x", "* one\n* two\n\nx\n");
}

static void pictures_show_their_alternative_text(void **state) {
    (void)state;
    assert_html("<img src=x alt=\"a &lt; b\"><img src=y>", "a < b\n");
}

static void tags_are_told_from_text(void **state) {
    (void)state;
    assert_html("1 < 2 <3 a<b>c</b> <p title=\"x > y\">d", "1 < 2 <3 ac\n\nd\n");
    assert_html("a<br", "a\n");
    assert_html("a<b x=\"unclosed>b", "a\n");
    assert_html("a<!-- unclosed", "a\n");
    assert_html("a<style>unclosed", "a\n");
}

static void output_stops_at_the_limit(void **state) {
    GString *out = g_string_new(NULL);

    (void)state;
    assert_false(html_to_text("<p>aaaaaaaaaa", 13, 5, out));
    assert_int_equal(out->len, 6);
    g_string_free(out, TRUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_make_lines_and_white_space_is_one_space),
        cmocka_unit_test(preformatted_text_keeps_its_lines),
        cmocka_unit_test(character_references_are_replaced),
        cmocka_unit_test(what_is_no_text_is_dropped),
        cmocka_unit_test(links_are_kept_unless_they_say_themselves),
        cmocka_unit_test(quotes_and_lists_are_marked),
        cmocka_unit_test(pictures_show_their_alternative_text),
        cmocka_unit_test(tags_are_told_from_text),
        cmocka_unit_test(output_stops_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
