//! The machine below us: its clock, its disk, its processes, its memory, its random numbers.

#[cfg_attr(not(unix), path = "no_child.rs")]
mod child;
mod clock;
mod disk;
#[cfg_attr(not(unix), path = "no_ending.rs")]
mod ending;
mod foreign_file;
pub mod http;
mod memory;
mod named_file;
mod new_file;
#[cfg_attr(not(target_os = "linux"), path = "no_peer.rs")]
mod peer;
mod place;
mod process;
mod random;
mod run_dir;
mod scratch;
mod seats;
#[cfg_attr(not(unix), path = "no_signals.rs")]
mod signals;
#[cfg(unix)]
mod socket;
mod synced;
mod taken_file;
mod user_file;

pub use child::{Child, Ended};
pub use clock::{Clock, SystemClock};
pub use disk::{Disk, Facts, Kind, OpenFile, Opening, SystemDisk};
pub use ending::Ending;
pub use foreign_file::{ForeignFile, ReadBuffer};
pub use memory::has_memory;
pub use named_file::{NamedFileError, read_named_file};
pub use new_file::{NewFile, NewFileError, Overwrite, check_free, take_back, write_new};
pub use peer::tcp_peer_uid;
pub use place::{
    FileSystem, Look, Nature, file_system, look, look_behind, names_in, read_start, system_name,
};
pub use process::{Asker, Error as ProcessError, asker, harden, replace_process};
pub use random::{random_bytes, random_id};
pub use run_dir::{Error as RunDirError, RunDir, is_of_a_run};
pub use scratch::run_on_copy;
pub use seats::{Seat, Seats};
pub use signals::{Deferral, is_asked_to_end, survive_size_limit};
#[cfg(unix)]
pub use socket::{Timed, UnsafePath, check_private_dir, check_socket, own_uid, peer_uid};
pub use synced::synced_by;
pub use taken_file::TakenFile;
pub use user_file::{UserFile, UserFileError, make_directories_above};
