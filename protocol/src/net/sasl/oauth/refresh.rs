//! When a token is fetched anew: a pure decision, with the clock and the dice passed in.

use std::time::Duration;

use crate::net::sasl::TokenRefresh;

/// After a failure, and with a token whose time is over
/// (`ExpiringCredentialRefreshingLogin.DELAY_SECONDS_BEFORE_NEXT_RETRY_WHEN_RELOGIN_FAILS`).
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// An endpoint that gives out tokens of no length is not asked without end.
const LEAST: Duration = Duration::from_secs(1);

/// How long from `now_ms` on the next token is fetched, as `ExpiringCredentialRefreshingLogin.refreshMs` has it: at a
/// share of the token's life, but not within the last `buffer` of it, nor sooner than `min_period`; where both find no
/// room, at that share of the rest. `dice` is from 0 to 1.
pub(super) fn next_refresh(
    now_ms: i64,
    issued_ms: Option<i64>,
    expires_ms: i64,
    refresh: &TokenRefresh,
    dice: f64,
) -> Duration {
    let rest = expires_ms.saturating_sub(now_ms);
    if rest < 0 {
        return AFTER_FAILURE;
    }
    let share = (f64::from(refresh.window_percent)
        + f64::from(refresh.jitter_percent) * dice.clamp(0.0, 1.0))
        / 100.0;
    let (min_period, buffer) = (milliseconds(refresh.min_period), milliseconds(refresh.buffer));
    let wait = if min_period.saturating_add(buffer) > rest {
        part(rest, share)
    } else {
        let issued = issued_ms.unwrap_or(now_ms).min(expires_ms);
        let proposed =
            issued.saturating_add(part(expires_ms.saturating_sub(issued), share)).saturating_sub(now_ms);
        proposed.min(rest.saturating_sub(buffer)).max(min_period)
    };
    Duration::from_millis(u64::try_from(wait).unwrap_or(0)).max(LEAST)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn part(span: i64, share: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a share of a time, to the millisecond")]
    let part = (span as f64 * share) as i64;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: TokenRefresh = TokenRefresh {
        window_percent: 80,
        jitter_percent: 5,
        min_period: Duration::from_secs(60),
        buffer: Duration::from_secs(300),
    };

    fn seconds(now: i64, issued: Option<i64>, expires: i64, dice: f64) -> f64 {
        let wait = next_refresh(now * 1000, issued.map(|s| s * 1000), expires * 1000, &REFRESH, dice);
        wait.as_secs_f64()
    }

    #[test]
    fn a_share_of_the_whole_life() {
        assert_eq!(seconds(0, Some(0), 3600, 0.0), 2880.0);
        assert_eq!(seconds(0, Some(0), 3600, 1.0), 3060.0);
        assert_eq!(seconds(0, None, 3600, 0.0), 2880.0);
        assert_eq!(seconds(1000, Some(0), 3600, 0.0), 1880.0, "part of it has passed");
    }

    #[test]
    fn not_within_the_buffer_nor_too_soon() {
        assert_eq!(seconds(0, Some(0), 1000, 0.0), 700.0);
        assert_eq!(seconds(3000, Some(0), 3600, 0.0), 60.0);
    }

    #[test]
    fn short_lives_have_no_room_for_either() {
        assert_eq!(seconds(0, Some(0), 100, 0.0), 80.0);
        assert_eq!(seconds(0, Some(0), 359, 0.0), 287.2);
    }

    #[test]
    fn nobody_is_asked_without_end() {
        assert_eq!(seconds(10, Some(0), 10, 0.0), 1.0);
        assert_eq!(seconds(11, Some(0), 10, 0.0), 10.0);
        assert_eq!(next_refresh(i64::MIN, Some(i64::MAX), i64::MAX, &REFRESH, f64::NAN).min(LEAST), LEAST);
    }
}
