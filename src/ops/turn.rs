//! One profile at a time: whoever works with a grant has it alone, as it is now.

use super::{Context, Error, Loaded, Unlocked, recover};
use crate::domain::{Profile, ProfileName};
use crate::store::{Access, Lock};

/// Does `work` while nobody else uses or changes the grant of `name`. It gets the profile as it is then, and
/// is told whether an earlier request may have been acted upon.
pub(super) fn in_turn<T>(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    work: impl FnOnce(Loaded<Profile>, bool) -> Result<T, Error>,
) -> Result<T, Error> {
    let _vault_lock = vault.lock(ctx, Access::Shared)?;
    let id = vault.profile(ctx, name)?.document.id().clone();
    let _turn = ctx.lock(&Lock::Grant(id), Access::Exclusive)?;

    let recovered = recover::recover(ctx, vault, name)?;
    // Look again: whoever had the turn before us may have refreshed, and the refresh token that we
    // have read above may be spent.
    work(vault.profile(ctx, name)?, recovered.uncertain)
}
