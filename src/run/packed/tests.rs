use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::*;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Kind {
    None,
    One(i32),
    Two(bool, u16),
    Named { text: String, time: Duration },
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct All {
    unit: (),
    numbers: (u8, u64, i8, i64),
    kinds: Vec<Kind>,
    maybe: Option<(Option<String>, bool)>,
    words: Vec<OsString>,
    path: PathBuf,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::None),
        any::<i32>().prop_map(Kind::One),
        any::<(bool, u16)>().prop_map(|(one, two)| Kind::Two(one, two)),
        any::<(String, Duration)>().prop_map(|(text, time)| Kind::Named { text, time }),
    ]
}

fn again<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, Unfit> {
    unpack(&pack(value).unwrap())
}

proptest! {
    #[test]
    fn what_was_packed_comes_out_again_and_nothing_less_or_more_does(
        numbers in any::<(u8, u64, i8, i64)>(),
        kinds in prop::collection::vec(kinds(), 0..6),
        maybe in any::<Option<(Option<String>, bool)>>(),
        words in prop::collection::vec(any::<Vec<u8>>(), 0..4),
        path in any::<String>(),
    ) {
        let words = words.into_iter().map(OsString::from_vec).collect();
        let path = PathBuf::from(path);
        let all = All { unit: (), numbers, kinds, maybe, words, path };
        let mut bytes = pack(&all).unwrap();
        for end in 0..bytes.len() {
            prop_assert_eq!(unpack::<All>(&bytes[..end]), Err(Unfit));
        }
        prop_assert_eq!(unpack(&bytes), Ok(all));
        bytes.push(0);
        prop_assert_eq!(unpack::<All>(&bytes), Err(Unfit));
    }

    #[test]
    fn any_bytes_are_a_value_or_are_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(all) = unpack::<All>(&bytes) {
            prop_assert_eq!(again(&all), Ok(all));
        }
    }
}

#[test]
fn the_least_and_the_greatest_numbers_fit() {
    assert_eq!(
        again(&(u64::MAX, i64::MIN, 0_u8)),
        Ok((u64::MAX, i64::MIN, 0_u8))
    );
    assert_eq!(pack(&127_u64).map(|bytes| bytes.len()), Ok(1));
    assert_eq!(pack(&128_u64).map(|bytes| bytes.len()), Ok(2));
}

#[test]
fn a_number_that_its_type_cannot_hold_and_a_variant_that_there_is_not_are_refused() {
    assert_eq!(unpack::<u8>(&pack(&256_u64).unwrap()), Err(Unfit));
    assert_eq!(unpack::<Kind>(&[4]), Err(Unfit));
    assert_eq!(unpack::<u64>(&[0xff; 11]), Err(Unfit));
}

#[test]
fn what_has_no_form_here_is_refused() {
    assert_eq!(pack(&1.5_f64), Err(NoForm));
    assert_eq!(pack(&'a'), Err(NoForm));
    let path = PathBuf::from(OsString::from_vec(vec![b'/', 0xff]));
    assert_eq!(pack(&path), Err(NoForm));
}
