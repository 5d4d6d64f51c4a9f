/* SPDX-License-Identifier: MIT */
/* Discovery: the sound plugin is described without being run, and each way in which a
 * file can be wrong has its message. Damaged files are the sound one with some bytes replaced. */
#include "test.h"

#include <elf.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "fixtures/files.h"

/* Helpers. */

/* Where the descriptor begins in a plugin's bytes. */
static gsize
descriptor_at (const guint8 *bytes, gsize n)
{
    static const guint8 head[] = {1, 0, 0, 0, 'd', 'l', 'h', 'o', 's', 't', 0};

    for (gsize i = 0; i + sizeof head < n; i++)
        if (memcmp (bytes + i, head, sizeof head) == 0)
            return i + 16; // type, then 12 bytes of owner
    g_assert_not_reached ();
}

/* Asserts that the file at @path is refused with @message, by find and by load. */
static void
assert_refused (const char *path, const char *message)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autoptr (GError) error = NULL;
    g_autofree char *begin = g_strconcat (path, ": ", NULL);

    g_assert_null (dlh_registry_find (registry, 0, path, &error));
    g_assert_true (error && g_str_has_prefix (error->message, begin));
    test_assert_error (&error, DLH_ERROR_PLUGIN, message);
    g_assert_null (dlh_registry_load (registry, 0, path, NULL, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, message);
}

static void
assert_bytes_refused (gconstpointer bytes, gsize n, const char *message)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "x.so", bytes, (gssize)n);

    assert_refused (path, message);
}

/* What is described. */

static void
find_described (void)
{
    g_autofree char *path = fixture ("good.so");
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autoptr (GError) error = NULL;
    const DlhPluginInfo *info = dlh_registry_find (registry, DLH_OPTIMIZER, path, &error);

    g_assert_no_error (error);
    g_assert_nonnull (info);
    g_assert_cmpstr (info->manifest->name, ==, "good");
    g_assert_cmpstr (info->manifest->version, ==, "1.2");
    g_assert_cmpstr (info->manifest->licence, ==, "MIT");
    g_assert_cmpstr (info->manifest->paper, ==, "0000.00000");
    g_assert_cmpstr (info->manifest->summary, ==, "Does nothing, properly");
    g_assert_cmpuint (info->manifest->kind, ==, DLH_OPTIMIZER);
    g_assert_cmpuint (info->manifest->n_options, ==, 7);
    g_assert_cmpstr (info->options[0].name, ==, "lr");
    g_assert_cmpstr (info->options[0].unit, ==, "1/s");
    g_assert_cmpstr (info->options[1].preset, ==, "0,0.9,0.99");
    g_assert_cmpstr (info->options[6].choices, ==, "l1|l2|max");
    g_assert_true (dlh_registry_find (registry, 0, path, NULL) == info);
}

static void
find_three_names (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = dlh_registry_new (dir);
    g_autofree char *path = g_build_filename (dir, "good.so", NULL);
    const char *const names[] = {"good", "good.so", path};

    copy_fixture ("good.so", dir, "good.so");
    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
        g_autoptr (GError) error = NULL;
        const DlhPluginInfo *info = dlh_registry_find (registry, 0, names[i], &error);

        g_assert_no_error (error);
        g_assert_cmpstr (info->manifest->name, ==, "good");
        g_assert_cmpstr (info->path, ==, path);
    }
}

// ./good.so works from the working directory, good.so does not, and the message says what to write.
static void
find_working_directory (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *before = g_get_current_dir ();
    g_autoptr (DlhRegistry) registry = NULL;
    g_autoptr (GError) error = NULL, other = NULL;
    const DlhPluginInfo *by_path, *by_name;

    copy_fixture ("good.so", dir, "good.so");
    g_assert_cmpint (g_chdir (dir), ==, 0);
    registry = dlh_registry_new ("::"); // empty entries, which PATH takes for this directory
    by_path = dlh_registry_find (registry, 0, "./good.so", &error);
    by_name = dlh_registry_find (registry, 0, "good.so", &other);
    g_assert_cmpint (g_chdir (before), ==, 0);
    g_assert_no_error (error);
    g_assert_nonnull (by_path);
    g_assert_null (by_name);
    test_assert_error (&other, DLH_ERROR_PLUGIN, "write ./good.so");
}

static void
list_sorted (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = dlh_registry_new (dir);
    g_autoptr (GPtrArray) all = NULL, models = NULL;

    copy_fixture ("trace.so", dir, "a.so");
    copy_fixture ("plain.so", dir, "plain.so");
    copy_fixture ("good.so", dir, "good.so");
    copy_fixture ("good.so", dir, "not-a-plugin.txt");
    copy_fixture ("good.so", dir, ".hidden.so");
    all = dlh_registry_list (registry, 0);
    g_assert_cmpuint (all->len, ==, 3);
    g_assert_cmpstr (((DlhPluginInfo *)all->pdata[0])->manifest->name, ==, "good");
    g_assert_cmpstr (((DlhPluginInfo *)all->pdata[1])->manifest->name, ==, "plain");
    g_assert_cmpstr (((DlhPluginInfo *)all->pdata[2])->manifest->name, ==, "trace");
    models = dlh_registry_list (registry, DLH_MODEL);
    g_assert_cmpuint (models->len, ==, 1);
    g_assert_cmpuint (dlh_registry_rejects (registry)->len, ==, 0);
}

static void
assert_reject (DlhRegistry *registry, guint i, const char *file, const char *message)
{
    GPtrArray *rejects = dlh_registry_rejects (registry);
    const DlhPluginReject *reject;
    g_autofree char *base = NULL;

    g_assert_cmpuint (i, <, rejects->len);
    reject = rejects->pdata[i];
    base = g_path_get_basename (reject->path);
    g_assert_cmpstr (base, ==, file);
    g_assert_nonnull (strstr (reject->error->message, message));
}

static void
list_rejects (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = dlh_registry_new (dir);
    g_autofree char *text = test_write_file (dir, "bad.so", "INPUT(libc.so)\n", -1);
    g_autoptr (GError) error = NULL;

    g_assert_nonnull (text);
    g_assert_cmpuint (dlh_registry_rejects (registry)->len, ==, 1);
    assert_reject (registry, 0, "bad.so", "is a text file, not a shared object");
    g_assert_null (dlh_registry_find (registry, 0, "bad", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "bad.so: is a text file, not a shared object");
}

static void
path_first_wins (void)
{
    g_autoptr (TestDir) first = test_temp_dir ();
    g_autoptr (TestDir) second = test_temp_dir ();
    g_autofree char *path = g_strconcat (first, ":", second, ":", first, NULL);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (path);
    const DlhPluginInfo *info;

    copy_fixture ("good.so", first, "zzz.so");
    copy_fixture ("good.so", second, "good.so");
    info = dlh_registry_find (registry, 0, "good", NULL);
    g_assert_nonnull (info);
    g_assert_true (g_str_has_prefix (info->path, first));
    g_assert_cmpuint (dlh_registry_rejects (registry)->len, ==, 1);
    assert_reject (registry, 0, "good.so", "is another plugin 'good'");
}

// A copy kept beside the plugin under another name is not taken for it.
static void
path_own_name_wins (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = dlh_registry_new (dir);
    const DlhPluginInfo *info;

    copy_fixture ("good.so", dir, "good-old.so");
    copy_fixture ("good.so", dir, "good.so");
    copy_fixture ("good.so", dir, "g.so");
    info = dlh_registry_find (registry, 0, "good", NULL);
    g_assert_true (g_str_has_suffix (info->path, "/good.so"));
    g_assert_cmpuint (dlh_registry_rejects (registry)->len, ==, 2);
}

static void
path_missing_directory (void)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new ("/nonexistent/a:/nonexistent/b");
    g_autoptr (GPtrArray) list = dlh_registry_list (registry, 0);
    g_autoptr (GError) error = NULL;

    g_assert_cmpuint (list->len, ==, 0);
    g_assert_cmpuint (dlh_registry_rejects (registry)->len, ==, 0);
    g_assert_null (dlh_registry_find (registry, DLH_MODEL, "mlp", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN,
                       "no model 'mlp'; searched /nonexistent/a (not there), /nonexistent/b (not "
                       "there)");
}

/* What is not found. */

static void
missing_named (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = dlh_registry_new (dir);
    g_autofree char *searched = g_strdup_printf ("searched %s", dir);
    g_autoptr (GError) error = NULL;

    copy_fixture ("good.so", dir, "good.so");
    g_assert_null (dlh_registry_find (registry, DLH_OPTIMIZER, "goood", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN,
                       "no optimizer 'goood'; did you mean 'good'? (searched /");
    g_assert_null (dlh_registry_find (registry, DLH_OPTIMIZER, "sgd.so", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, searched);
    g_assert_null (dlh_registry_load (registry, DLH_MODEL, "xyz", NULL, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "no model 'xyz'");
}

static void
missing_odd_names (void)
{
    g_autofree char *long_name = g_strnfill (4096, 'a'), *long_path = g_strnfill (5000, 'a');
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_registry_find (registry, 0, "kf\nac", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN,
                       "no plugin 'kf\\nac'; a plugin's name has only a-z, 0-9, '_' and '-'");
    g_assert_null (dlh_registry_find (registry, 0, "\xff\xfe", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "a plugin's name has only");
    g_assert_null (dlh_registry_find (registry, 0, "", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "no plugin ''; a plugin's name has only");
    g_assert_null (dlh_registry_find (registry, 0, long_name, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "aaa...'; the plugin path is empty");
    long_path[0] = '/';
    g_assert_null (dlh_registry_find (registry, 0, long_path, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "...: cannot be read: File name too long");
    g_assert_null (dlh_registry_find (registry, 0, "../nothing/here.so", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "../nothing/here.so: no such file");
}

// A path is named whole, however long: a part of it names nothing.
static void
missing_long_path (void)
{
    g_autofree char *inner = g_strnfill (200, 'a');
    g_autofree char *path = g_strdup_printf ("/%s/%s/x.so", inner, inner);
    g_autofree char *want = g_strconcat (path, ": no such file", NULL);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_registry_find (registry, 0, path, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, want);
}

static void
missing_kind (void)
{
    g_autofree char *path = fixture ("good.so");
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_registry_find (registry, DLH_MODEL, path, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "'good' is an optimizer, not a model (/");
}

/* Files of other kinds. */

static void
file_not_regular (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *folder = g_build_filename (dir, "folder.so", NULL);
    g_autofree char *fifo = g_build_filename (dir, "fifo.so", NULL);
    g_autofree char *loop = g_build_filename (dir, "loop.so", NULL);
    g_autofree char *dangling = g_build_filename (dir, "dangling.so", NULL);
    g_autofree char *sock = g_build_filename (dir, "socket.so", NULL);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket (AF_UNIX, SOCK_STREAM, 0);

    g_assert_cmpint (mkdir (folder, 0755), ==, 0);
    g_assert_cmpint (mkfifo (fifo, 0644), ==, 0);
    g_assert_cmpint (symlink ("loop.so", loop), ==, 0);
    g_assert_cmpint (symlink ("nothing.so", dangling), ==, 0);
    g_strlcpy (address.sun_path, sock, sizeof address.sun_path);
    g_assert_cmpint (bind (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    close (fd);
    assert_refused (folder, "is a directory");
    assert_refused (fifo, "is a pipe, not a regular file");
    assert_refused (loop, "is a circle of symbolic links");
    assert_refused (dangling, "is a symbolic link to a file that is not there");
    assert_refused (sock, "is a socket, not a regular file");
    assert_refused ("/dev/null", "is a device, not a regular file");
}

static void
file_not_elf (void)
{
    assert_bytes_refused ("", 0, "is empty");
    assert_bytes_refused ("GROUP ( libm.so )\n", 18, "is a text file, not a shared object");
    assert_bytes_refused ("\x89PNG\r\n\x1a\n\0\0\0\0", 12, "is not an ELF file");
    assert_bytes_refused ("!<arch>\nfoo.o/", 14, "is a static archive; link a plugin with -shared");
    assert_bytes_refused ("\177ELF", 4, "is truncated: it ends within its ELF header");
    assert_bytes_refused ("\177E", 2, "is truncated: it ends within its ELF header");
}

static void
file_programs (void)
{
    g_autofree char *program = fixture ("fixture-program");
    g_autofree char *library = fixture ("libfixture-helper.so");

    assert_refused (program, "is a program, not a plugin");
    assert_refused (library, "is a shared object, but no dlhost plugin: it has no note");
}

static void
file_modes (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "good.so", NULL);
    g_autofree char *open_dir = g_build_filename (dir, "open", NULL);
    g_autofree char *inner = g_build_filename (open_dir, "good.so", NULL);
    g_autofree char *link = g_build_filename (dir, "link.so", NULL);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (open_dir);
    g_autoptr (GPtrArray) list = NULL;

    copy_fixture ("good.so", dir, "good.so");
    g_assert_cmpint (mkdir (open_dir, 0755), ==, 0);
    copy_fixture ("good.so", open_dir, "good.so");
    g_assert_cmpint (symlink ("open/good.so", link), ==, 0);
    g_assert_cmpint (chmod (path, 0646), ==, 0);
    g_assert_cmpint (chmod (open_dir, 01777), ==, 0);
    assert_refused (path, "can be written by everyone; run chmod o-w on it");
    assert_refused (inner, "lies in ");
    assert_refused (link, "lies in ");
    list = dlh_registry_list (registry, 0);
    g_assert_cmpuint (list->len, ==, 0);
    assert_reject (registry, 0, "open", "can be written by everyone; run chmod o-w on it");
}

static void
file_unreadable (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "good.so", NULL);
    gboolean root = geteuid () == 0;

    copy_fixture ("good.so", dir, "good.so");
    g_assert_cmpint (chmod (path, 0200), ==, 0);
    g_assert_cmpint (chmod (dir, 0755), ==, 0);
    // To root every file is readable: look as nobody.
    if (root && seteuid (65534) != 0) {
        test_skip ("runs as root and cannot become another user");
        return;
    }
    assert_refused (path, "cannot be read: Permission denied");
    if (root)
        g_assert_cmpint (seteuid (0), ==, 0);
}

/* Truncation at every header boundary and many places between: never accepted, never read beyond.
 */
static void
file_truncated (void)
{
    gsize n;
    g_autofree guint8 *bytes = fixture_bytes ("good.so", &n);

    for (gsize cut = 64; cut < n; cut += cut < 1024 ? 7 : 997)
        assert_bytes_refused (bytes, cut, "is truncated: it has ");
    assert_bytes_refused (bytes, n - 1, "is truncated: it has ");
}

/* Single replaced fields. */

typedef struct {
    const char *path;
    enum { ELF_HEADER, MANIFEST, OPTION } where;
    gsize offset;
    const char *bytes;
    gsize n;
    const char *message;
} Patch;

#define HEADER(name, field, value, text)                                                           \
    {                                                                                              \
        name, ELF_HEADER, offsetof (Elf64_Ehdr, field), value, sizeof value - 1, text              \
    }
#define IDENT(name, at, value, text)                                                               \
    {                                                                                              \
        name, ELF_HEADER, at, value, sizeof value - 1, text                                        \
    }
#define IN_MANIFEST(name, field, value, text)                                                      \
    {                                                                                              \
        name, MANIFEST, offsetof (DlhManifest, field), value, sizeof value - 1, text               \
    }
#define IN_OPTION(name, i, field, value, text)                                                     \
    {                                                                                              \
        name, OPTION, i * sizeof (DlhOption) + offsetof (DlhOption, field), value,                 \
            sizeof value - 1, text                                                                 \
    }

#define THIRTY_TWO "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const Patch patches[] = {
    IDENT ("elf/32-bit", EI_CLASS, "\1", "is 32-bit ("),
    IDENT ("elf/class", EI_CLASS, "\3", "has a damaged ELF header"),
    IDENT ("elf/big-endian", EI_DATA, "\2", "is built for a big-endian machine"),
    IDENT ("elf/version", EI_VERSION, "\0", "has a damaged ELF header"),
    HEADER ("elf/riscv", e_machine, "\xf3\0", "is built for RISC-V (243), this machine is "),
    HEADER ("elf/unknown-machine", e_machine, "\xff\xff", "is built for another machine (65535)"),
    HEADER ("elf/i386", e_machine, "\3\0", "is built for 32-bit x86 (3)"),
    HEADER ("elf/arm", e_machine, "\x28\0", "is built for 32-bit ARM (40)"),
#if defined __x86_64__
    HEADER ("elf/aarch64", e_machine, "\xb7\0", "is built for AArch64 (183), this machine is x86"),
#endif
    HEADER ("elf/power", e_machine, "\x15\0", "is built for 64-bit POWER (21)"),
    HEADER ("elf/s390", e_machine, "\x16\0", "is built for s390 (22)"),
    HEADER ("elf/program", e_type, "\2\0", "is a program, not a shared object"),
    HEADER ("elf/object", e_type, "\1\0", "is an object file; link a plugin with -shared"),
    HEADER ("elf/core", e_type, "\4\0", "is a core dump, not a shared object"),
    HEADER ("elf/unknown-type", e_type, "\x37\x13", "is of the unknown ELF type 4919"),
    HEADER ("elf/no-segments", e_phnum, "\0\0", "damaged ELF header: 0 program headers"),
    HEADER ("elf/many-segments", e_phnum, "\xff\xff", "damaged ELF header: 65535 program headers"),
    HEADER ("elf/segment-size", e_phentsize, "\x20\0", "program headers of 32 bytes"),
    HEADER ("elf/segments-far", e_phoff, "\xff\xff\xff\xff\xff\xff\xff\xff", "is truncated"),
    HEADER ("elf/sections-far", e_shoff, "\0\0\0\0\0\0\0\x10", "is truncated"),
    IN_MANIFEST ("abi/too-new", abi_major, "\2\0\0\0",
                 "is built for plugin interface 2, too new for this dlhost (1.0)"),
    IN_MANIFEST ("abi/too-old", abi_major, "\0\0\0\0",
                 "is built for plugin interface 0, too old for this dlhost (1.0)"),
    IN_MANIFEST ("manifest/size-0", size, "\0\0\0\0", "damaged note: a manifest of 0 bytes"),
    IN_MANIFEST ("manifest/size-huge", size, "\xff\xff\xff\xff", "damaged note: a manifest of"),
    IN_MANIFEST ("manifest/size-other", size, "\x28\1\0\0", "bytes for 7 options"),
    IN_MANIFEST ("manifest/option-size-0", option_size, "\0\0\0\0", "options of 0 bytes"),
    IN_MANIFEST ("manifest/more-options", n_options, "\x08\0\0\0", "bytes for 8 options"),
    IN_MANIFEST ("manifest/fewer-options", n_options, "\x06\0\0\0", "bytes for 6 options"),
    IN_MANIFEST ("manifest/many-options", n_options, "\xff\xff\xff\xff", "4294967295 options"),
    IN_MANIFEST ("manifest/kind-0", kind, "\0\0\0\0", "is of kind 0"),
    IN_MANIFEST ("manifest/kind-99", kind, "\x63\0\0\0", "is of kind 99 (plugin interface 1.0)"),
    IN_MANIFEST ("manifest/values-huge", options_bytes, "\xff\xff\xff\xff", "option values of"),
    IN_MANIFEST ("manifest/values-small", options_bytes, "\x08\0\0\0",
                 "option 'betas' lies outside of the option struct"),
    IN_MANIFEST ("manifest/name-long", name, THIRTY_TWO, "the name does not end within 32 bytes"),
    IN_MANIFEST ("manifest/name-empty", name, "\0", "the name is empty"),
    IN_MANIFEST ("manifest/name-upper", name, "Good", "is named 'Good'; a plugin's name has only"),
    IN_MANIFEST ("manifest/name-slash", name, "../x", "is named '../x'"),
    IN_MANIFEST ("manifest/name-not-utf8", name, "g\xff", "the name is not UTF-8"),
    IN_MANIFEST ("manifest/version-long", version, "1234567890123456",
                 "the version does not end within 16 bytes"),
    IN_MANIFEST ("manifest/summary-escape", summary, "\x1b[2J",
                 "the summary holds control characters"),
    IN_MANIFEST ("manifest/paper-not-utf8", paper, "\xc3(", "the paper is not UTF-8"),
    IN_OPTION ("option/name-empty", 0, name, "\0", "an option's name is empty"),
    IN_OPTION ("option/name-long", 0, name, THIRTY_TWO, "name does not end within 32 bytes"),
    IN_OPTION ("option/name-odd", 0, name, "l=", "option 'l=' may have only"),
    IN_OPTION ("option/name-twice", 3, name, "lr\0", "has two options 'lr'"),
    IN_OPTION ("option/type-0", 0, type, "\0\0\0\0", "is of a type that this dlhost does not know"),
    IN_OPTION ("option/type-8", 0, type, "\x08\0\0\0", "is of a type that this dlhost does not"),
    IN_OPTION ("option/type-other", 0, type, "\6\0\0\0", "'lr' is not of its type's size"),
    IN_OPTION ("option/size", 4, size, "\x08\0\0\0", "'nesterov' is not of its type's size"),
    IN_OPTION ("option/offset-odd", 0, offset, "\1\0\0\0", "'lr' lies outside of"),
    IN_OPTION ("option/offset-far", 0, offset, "\xf8\xff\xff\xff", "'lr' lies outside of"),
    IN_OPTION ("option/offset-shared", 0, offset, "\x10\0\0\0", "'lr' and 'betas' in one place"),
    IN_OPTION ("option/range-empty", 0, min, "\0\0\0\0\0\0\xf0\x7e", "'lr' has an empty range"),
    IN_OPTION ("option/range-nan", 0, max, "\0\0\0\0\0\0\xf8\x7f", "'lr' has an empty range"),
    IN_OPTION ("option/default-word", 0, preset, "x\0", "default of 'lr' is 'x', must be a number"),
    IN_OPTION ("option/default-range", 0, preset, "101", "'lr' is 101, must be in (0, 100] 1/s"),
    IN_OPTION ("option/default-empty", 1, preset, "[]\0", "must have at least one item"),
    IN_OPTION ("option/default-choice", 6, preset, "l3", "must be one of l1, l2, max"),
    IN_OPTION ("option/no-choices", 6, choices, "\0", "option 'norm' has no choices"),
    IN_OPTION ("option/empty-choice", 6, choices, "l1||l2", "option 'norm' has an empty choice"),
    IN_OPTION ("option/choice-twice", 6, choices, "l2|l2|", "'norm' has a choice twice"),
    IN_OPTION ("option/unit-escape", 0, unit, "\a", "an option's unit holds control characters"),
    IN_OPTION ("option/doc-not-utf8", 0, doc, "\xff", "an option's text is not UTF-8"),
};

static void
patched_refused (gconstpointer data)
{
    const Patch *p = data;
    gsize n, at = p->offset;
    g_autofree guint8 *bytes = fixture_bytes ("good.so", &n);

    if (p->where != ELF_HEADER)
        at += descriptor_at (bytes, n);
    if (p->where == OPTION)
        at += sizeof (DlhManifest);
    memcpy (bytes + at, p->bytes, p->n);
    assert_bytes_refused (bytes, n, p->message);
}

/* The record's frame: owner, type and lengths. */
static void
note_frame_damaged (void)
{
    gsize n;
    g_autofree guint8 *bytes = fixture_bytes ("good.so", &n);
    gsize at = descriptor_at (bytes, n);
    const guint32 huge = G_MAXUINT32, none = 0;

    bytes[at - 16] = 2; // type: not the one of a manifest
    assert_bytes_refused (bytes, n, "it has no note");
    bytes[at - 16] = 1;
    bytes[at - 12] = 'D'; // owner
    assert_bytes_refused (bytes, n, "it has no note");
    bytes[at - 12] = 'd';
    memcpy (bytes + at - 24, &huge, 4); // length of the owner
    assert_bytes_refused (bytes, n, "has damaged notes: record at byte");
    bytes[at - 24] = 7, bytes[at - 23] = bytes[at - 22] = bytes[at - 21] = 0;
    memcpy (bytes + at - 20, &huge, 4); // of the descriptor
    assert_bytes_refused (bytes, n, "has damaged notes: record at byte");
    memcpy (bytes + at - 20, &none, 4);
    assert_bytes_refused (bytes, n, "has ");
}

/* Section headers may be gone, as after strip --strip-section-headers. */
static void
note_without_sections (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    gsize n;
    g_autofree guint8 *bytes = fixture_bytes ("good.so", &n);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autofree char *path = NULL;
    g_autoptr (GError) error = NULL;

    memset (bytes + offsetof (Elf64_Ehdr, e_shoff), 0, 8);
    memset (bytes + offsetof (Elf64_Ehdr, e_shnum), 0, 4);
    path = test_write_file (dir, "good.so", bytes, (gssize)n);
    g_assert_nonnull (dlh_registry_find (registry, 0, path, &error));
    g_assert_no_error (error);
}

/* An address sanitizer aligns what is in the note to more than the 8 bytes of its padding. */
static void
note_aligned_more (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    gsize n;
    g_autofree guint8 *bytes = fixture_bytes ("good.so", &n);
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)(gpointer)bytes;
    Elf64_Phdr *segments = (Elf64_Phdr *)(gpointer)(bytes + h->e_phoff);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autofree char *path = NULL;
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < h->e_phnum; i++)
        if (segments[i].p_type == PT_NOTE && segments[i].p_align == 8)
            segments[i].p_align = 32;
    path = test_write_file (dir, "good.so", bytes, (gssize)n);
    g_assert_nonnull (dlh_registry_find (registry, 0, path, &error));
    g_assert_no_error (error);
}

/* A plugin's file whose notes, but for @keep its own, are @n bytes of others behind its end. They
 * are where the table of program headers had the stack's flags. */
static void
assert_notes_refused (gboolean keep, gconstpointer notes, gsize n, const char *message)
{
    gsize size;
    g_autofree guint8 *bytes = fixture_bytes ("good.so", &size);
    g_autofree guint8 *whole = g_malloc0 (size + n);
    Elf64_Ehdr *h = (Elf64_Ehdr *)(gpointer)whole;
    Elf64_Phdr *segments;

    memcpy (whole, bytes, size);
    memcpy (whole + size, notes, n);
    segments = (Elf64_Phdr *)(gpointer)(whole + h->e_phoff);
    for (guint i = 0; i < h->e_phnum; i++) {
        if (segments[i].p_type == PT_NOTE && !keep)
            segments[i].p_type = PT_NULL;
        if (segments[i].p_type == PT_GNU_STACK) {
            segments[i].p_type = PT_NOTE;
            segments[i].p_offset = size;
            segments[i].p_filesz = n;
            segments[i].p_align = 8;
        }
    }
    assert_bytes_refused (whole, size + n, message);
}

static void
note_other_segments (void)
{
    static const guint8 tiny[28] = "\7\0\0\0\4\0\0\0\1\0\0\0dlhost\0\0\0\0\0\0\1\2\3\4";
    gsize n, at, size;
    g_autofree guint8 *bytes = fixture_bytes ("good.so", &n), *huge = g_malloc0 (5 << 20);
    guint32 descriptor;

    at = descriptor_at (bytes, n) - 24;
    memcpy (&descriptor, bytes + at + 4, 4);
    size = 24 + descriptor;
    assert_notes_refused (TRUE, bytes + at, size,
                          "holds two dlhost notes; define one plugin a file");
    assert_notes_refused (FALSE, huge, 5 << 20, "has damaged notes: 5242880 bytes of them");
    assert_notes_refused (FALSE, tiny, sizeof tiny, "has a damaged note: 4 bytes");
}

static void
kinds_named (void)
{
    for (guint kind = DLH_OPTIMIZER; kind <= DLH_LAST_KIND; kind++)
        g_assert_cmpuint (dlh_plugin_kind_from_name (dlh_plugin_kind_name (kind)), ==, kind);
    g_assert_cmpstr (dlh_plugin_kind_name (DLH_SAMPLER), ==, "sampler");
    g_assert_cmpuint (dlh_plugin_kind_from_name ("optimiser"), ==, 0);
    g_assert_cmpstr (dlh_plugin_kind_name (0), ==, "plugin");
    g_assert_cmpstr (dlh_plugin_kind_name (99), ==, "plugin");
}

static void
add_find_tests (void)
{
    g_test_add_func ("/plugin/find/described", find_described);
    g_test_add_func ("/plugin/find/three-names", find_three_names);
    g_test_add_func ("/plugin/find/not-working-directory", find_working_directory);
    g_test_add_func ("/plugin/list/sorted", list_sorted);
    g_test_add_func ("/plugin/list/rejects", list_rejects);
    g_test_add_func ("/plugin/path/first-wins", path_first_wins);
    g_test_add_func ("/plugin/path/own-name-wins", path_own_name_wins);
    g_test_add_func ("/plugin/path/missing-directory", path_missing_directory);
    g_test_add_func ("/plugin/missing/nearest-name", missing_named);
    g_test_add_func ("/plugin/missing/odd-names", missing_odd_names);
    g_test_add_func ("/plugin/missing/long-path", missing_long_path);
    g_test_add_func ("/plugin/missing/other-kind", missing_kind);
    g_test_add_func ("/plugin/kinds/named", kinds_named);
}

static void
add_file_tests (void)
{
    g_test_add_func ("/plugin/file/not-regular", file_not_regular);
    g_test_add_func ("/plugin/file/not-elf", file_not_elf);
    g_test_add_func ("/plugin/file/no-plugin", file_programs);
    g_test_add_func ("/plugin/file/writable-by-all", file_modes);
    g_test_add_func ("/plugin/file/unreadable", file_unreadable);
    g_test_add_func ("/plugin/file/truncated", file_truncated);
    g_test_add_func ("/plugin/note/frame-damaged", note_frame_damaged);
    g_test_add_func ("/plugin/note/without-sections", note_without_sections);
    g_test_add_func ("/plugin/note/aligned-more", note_aligned_more);
    g_test_add_func ("/plugin/note/other-segments", note_other_segments);
    for (guint i = 0; i < G_N_ELEMENTS (patches); i++) {
        g_autofree char *path = g_strdup_printf ("/plugin/%s/refused", patches[i].path);

        g_test_add_data_func (path, &patches[i], patched_refused);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    add_find_tests ();
    add_file_tests ();
    return g_test_run ();
}
