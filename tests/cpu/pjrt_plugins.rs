//! Which errors does preheat give for files that are not plugins, and for plugins that break the
//! rules? These plugins are small, and are compiled from C with the real header.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::{Path, PathBuf};

use preheat_pjrt::{ApiVersion, Client, ErrorCode, PjrtError, PjrtTopology, Plugin, options};

/// A plugin with functions that return errors, an initialisation that counts its calls, and a table
/// that `more` changes.
fn plugin(dir: &Path, name: &str, more: &str) -> PathBuf {
    let path = dir.join(format!("{name}.so"));
    let source = format!(
        r#"#include "pjrt_c_api.h"
        struct PJRT_Error {{ PJRT_Error_Code code; const char* message; size_t size; }};
        static struct PJRT_Error failure = {{PJRT_Error_Code_INTERNAL, "not \xff this time", 15}};
        static int initialised = 0;
        static int destroyed = 0;
        int times_initialised(void) {{ return initialised; }}
        int errors_destroyed(void) {{ return destroyed; }}
        static void destroy(PJRT_Error_Destroy_Args* args) {{ destroyed++; }}
        static void message(PJRT_Error_Message_Args* args) {{
          args->message = args->error->message;
          args->message_size = args->error->size;
        }}
        static PJRT_Error* code(PJRT_Error_GetCode_Args* args) {{ args->code = args->error->code; return 0; }}
        static PJRT_Error* initialize(PJRT_Plugin_Initialize_Args* args) {{ initialised++; return 0; }}
        static PJRT_Error* fail(PJRT_Client_Create_Args* args) {{ return &failure; }}
        static PJRT_Api api;
        const PJRT_Api* GetPjrtApi(void) {{
          api.struct_size = PJRT_Api_STRUCT_SIZE;
          api.pjrt_api_version.struct_size = PJRT_Api_Version_STRUCT_SIZE;
          api.pjrt_api_version.major_version = PJRT_API_MAJOR;
          api.pjrt_api_version.minor_version = PJRT_API_MINOR;
          api.PJRT_Error_Destroy = destroy;
          api.PJRT_Error_Message = message;
          api.PJRT_Error_GetCode = code;
          api.PJRT_Plugin_Initialize = initialize;
          {more}
        }}"#
    );
    support::compile_c(&source, &path, true);
    path
}

/// Calls a function without arguments that the test plugin exports.
#[expect(unsafe_code, reason = "the plugin above exports functions of this type by these names")]
fn ask(path: &Path, function: &str) -> i32 {
    // SAFETY: the library is the test plugin, which is already loaded; the functions take nothing
    // and return an int.
    unsafe {
        let library = libloading::Library::new(path).unwrap();
        let count: libloading::Symbol<unsafe extern "C" fn() -> i32> =
            library.get(function).unwrap();
        count()
    }
}

fn open_error(path: &Path) -> PjrtError {
    let error = Plugin::open(path).unwrap_err();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(error.to_string().contains(name), "the file is named: {error}");
    error
}

#[test]
fn no_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = open_error(&dir.path().join("absent.so"));
    assert!(matches!(error, PjrtError::PluginNotFound { .. }));
    assert!(error.to_string().contains("check the path"), "{error}");
}

#[test]
fn files_that_are_no_library() {
    let dir = tempfile::tempdir().unwrap();
    for (name, contents) in
        [("text.so", &b"#!/bin/sh\n"[..]), ("empty.so", b""), ("stub.so", b"\x7fELF\x02\x01\x01")]
    {
        let path = dir.path().join(name);
        std::fs::write(&path, contents).unwrap();
        assert!(matches!(open_error(&path), PjrtError::NotALibrary { .. }));
    }
    let folder = dir.path().join("folder.so");
    std::fs::create_dir(&folder).unwrap();
    assert!(matches!(open_error(&folder), PjrtError::NotALibrary { .. }));
}

#[test]
fn a_library_that_is_no_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("library.so");
    support::compile_c("int answer(void) { return 42; }", &path, true);
    let error = open_error(&path);
    assert!(
        matches!(error, PjrtError::NoEntryPoint { .. }) && error.to_string().contains("GetPjrtApi")
    );
}

#[test]
fn no_table() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        open_error(&plugin(dir.path(), "null", "return 0;")),
        PjrtError::NullApi { .. }
    ));
}

#[test]
fn another_major_version() {
    let dir = tempfile::tempdir().unwrap();
    let path = plugin(
        dir.path(),
        "major",
        "api.pjrt_api_version.major_version = 3; api.pjrt_api_version.minor_version = 7; return &api;",
    );
    let error = open_error(&path);
    let theirs = ApiVersion { major: 3, minor: 7 };
    assert!(
        matches!(error, PjrtError::MajorVersion { plugin, ours: ApiVersion::OURS, .. } if plugin == theirs)
    );
    let text = error.to_string();
    assert!(
        text.contains("3.7")
            && text.contains(&ApiVersion::OURS.to_string())
            && text.contains("install"),
        "{text}"
    );
    assert_eq!(ask(&path, "times_initialised"), 0);
}

#[test]
fn a_table_too_short_to_report_errors() {
    let dir = tempfile::tempdir().unwrap();
    for (name, size) in [("nothing", "8"), ("version", "offsetof(PJRT_Api, PJRT_Error_Message)")] {
        let path = plugin(dir.path(), name, &format!("api.struct_size = {size}; return &api;"));
        assert!(matches!(open_error(&path), PjrtError::TableTooShort { .. }));
        assert_eq!(ask(&path, "times_initialised"), 0);
    }
}

#[test]
fn a_table_that_ends_early_is_never_read_beyond() {
    let dir = tempfile::tempdir().unwrap();
    // The function in `beyond` would be called if the table were read beyond its end.
    let beyond = "api.PJRT_Client_Create = fail;
        api.struct_size = offsetof(PJRT_Api, PJRT_Client_Create); return &api;";
    let short = Plugin::open(&plugin(dir.path(), "short", beyond)).unwrap();
    let error = Client::create(&short, &[]).unwrap_err();
    assert!(
        matches!(error, PjrtError::MissingFunction { function: "PJRT_Client_Create", .. }),
        "{error}"
    );
    assert!(error.to_string().contains("short.so") && error.is_unimplemented(), "{error}");
    let halfway = "api.PJRT_Client_Create = fail;
        api.struct_size = offsetof(PJRT_Api, PJRT_Client_Create) + 4; return &api;";
    let short = Plugin::open(&plugin(dir.path(), "halfway", halfway)).unwrap();
    assert!(matches!(Client::create(&short, &[]).unwrap_err(), PjrtError::MissingFunction { .. }));
}

#[test]
fn a_function_that_is_null_is_missing_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = Plugin::open(&plugin(dir.path(), "bare", "return &api;")).unwrap();
    let error = PjrtTopology::create(&plugin, "v5e:1x1", &[]).err().unwrap();
    assert!(matches!(
        error,
        PjrtError::MissingFunction { function: "PJRT_TopologyDescription_Create", .. }
    ));
    assert!(plugin.attributes().is_err_and(|error| error.is_unimplemented()));
    assert!(plugin.extensions().is_empty());
}

#[test]
fn a_longer_table_of_a_newer_minor_version_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let newer = "static struct { PJRT_Api api; void* more[8]; } longer;
        api.pjrt_api_version.minor_version = 999; api.struct_size += sizeof(longer.more);
        longer.api = api; return &longer.api;";
    let plugin = Plugin::open(&plugin(dir.path(), "newer", newer)).unwrap();
    assert_eq!(plugin.api_version().minor, 999);
}

#[test]
fn an_error_is_read_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = plugin(dir.path(), "failing", "api.PJRT_Client_Create = fail; return &api;");
    let error = Client::create(&Plugin::open(&path).unwrap(), &[]).unwrap_err();
    let PjrtError::Call { function, code, message } = &error else { panic!("{error}") };
    assert_eq!((*function, *code), ("PJRT_Client_Create", ErrorCode::Internal));
    assert_eq!(message, "not \u{fffd} this time", "text that is not UTF-8 does no harm");
    assert_eq!(ask(&path, "errors_destroyed"), 1);
}

#[test]
fn a_plugin_that_answers_nothing_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let silent = "api.PJRT_Client_Create = (PJRT_Client_Create*)initialize; return &api;";
    let plugin = Plugin::open(&plugin(dir.path(), "silent", silent)).unwrap();
    assert!(matches!(Client::create(&plugin, &[]).unwrap_err(), PjrtError::BadAnswer { .. }));
}

#[test]
fn racing_threads_initialise_a_plugin_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = plugin(dir.path(), "once", "return &api;");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Plugin::open(&path).unwrap());
        }
    });
    let link = dir.path().join("again.so");
    std::fs::hard_link(&path, &link).unwrap();
    assert_eq!(Plugin::open(&link).unwrap().path(), path.canonicalize().unwrap());
    assert_eq!(ask(&path, "times_initialised"), 1);
}

#[test]
fn a_failed_initialisation_is_an_error_and_can_be_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = plugin(
        dir.path(),
        "shy",
        "api.PJRT_Plugin_Initialize = initialised++ ? initialize : (PJRT_Plugin_Initialize*)fail; return &api;",
    );
    assert_eq!(Plugin::open(&path).unwrap_err().code(), Some(ErrorCode::Internal));
    Plugin::open(&path).unwrap();
}

#[test]
fn handles_may_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<Plugin>();
    check::<Client>();
    check::<preheat_pjrt::Device>();
    check::<preheat_pjrt::Buffer>();
    check::<preheat_pjrt::PjrtEvent>();
    check::<preheat_pjrt::PjrtExecutable>();
    check::<preheat_pjrt::LoadedExecutable>();
    check::<preheat_pjrt::SerializedExecutable>();
    check::<PjrtTopology>();
    check::<PjrtError>();
    check::<options::OptionOverride>();
}
