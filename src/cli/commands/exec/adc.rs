//! How programs that use Google's Application Default Credentials get their tokens.

use std::ffi::OsStr;
use std::path::Path;

use clap::ValueEnum;

/// The kind of server that stays up for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Adc {
    /// A file that names a token endpoint on loopback
    Broker,
    /// What machines in Google's cloud have
    Metadata,
    /// None
    None,
}

/// The profiles that are for Google's programs without being told.
const GOOGLE: &str = "google";

/// Programs that run on Java, .NET or Ruby. Google's libraries there take no token endpoint over http, and fail on
/// the broker's file rather than to look further.
const NEED_METADATA: &[&str] = &[
    "java", "javaw", "jshell", "jbang", "kotlin", "scala", "groovy", "clojure", "clj", "lein", "mvn", "mvnw",
    "mvnd", "gradle", "gradlew", "sbt", "ant", "bazel", "dotnet", "ruby", "jruby", "irb", "bundle", "rake",
    "rails",
];

impl Adc {
    /// What was `asked` for, else what suits a profile of `provider` and the program.
    pub(super) fn chosen(asked: Option<Self>, provider: &str, program: &OsStr) -> Self {
        if let Some(asked) = asked {
            return asked;
        }
        if provider != GOOGLE {
            return Self::None;
        }
        if needs_metadata(program) {
            log::info!(
                "{} cannot use the broker, so it gets a metadata server; `--adc` chooses",
                program.display()
            );
            return Self::Metadata;
        }
        Self::Broker
    }
}

/// By its name, less `.exe`, `.bat` and the like, and a version: `ruby3.3`.
fn needs_metadata(program: &OsStr) -> bool {
    let name =
        Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let name = [".exe", ".bat", ".cmd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    NEED_METADATA.contains(&name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_at_google_gets_what_its_program_can_use_and_another_nothing() {
        let chosen = |provider, program: &str| Adc::chosen(None, provider, OsStr::new(program));

        for program in ["python3", "./sync.py", "gcloud", "node", "javascript", "/opt/java/run"] {
            assert_eq!(chosen("google", program), Adc::Broker, "{program}");
        }
        for program in ["java", "/usr/bin/java", "./gradlew", "gradlew.bat", "dotnet.exe", "ruby3.3", "Java"]
        {
            assert_eq!(chosen("google", program), Adc::Metadata, "{program}");
        }
        assert_eq!(chosen("github", "python3"), Adc::None);
        assert_eq!(Adc::chosen(Some(Adc::Broker), "github", OsStr::new("java")), Adc::Broker);
    }
}
