//! DescribeConfigs in version 0, the only one that Kafka 0.11 and 1.0 speak and the message crate does not.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::protocol::StrBytes;

use super::{DescribeConfigsRequest, DescribeConfigsResponse};
use crate::wire::cursor::{PutWire, Reader};
use crate::wire::error::WireError;

/// The sources that version 1 tells apart where version 0 only says whether a value is the default.
const SET_FOR_THE_TOPIC: i8 = 1;
const DEFAULT: i8 = 5;
/// The least a resource and a setting take: two numbers, three texts and lists; two texts and three flags.
const MIN_RESULT_BYTES: usize = 11;
const MIN_CONFIG_BYTES: usize = 7;

/// Appends the body of the request. What version 0 cannot say is left out.
pub(super) fn write(request: &DescribeConfigsRequest, body: &mut BytesMut) -> Result<(), WireError> {
    body.put_count("resources", request.resources.len(), false)?;
    for resource in &request.resources {
        body.put_i8(resource.resource_type);
        body.put_text(&resource.resource_name, false)?;
        match &resource.configuration_keys {
            None => body.put_i32(-1),
            Some(keys) => {
                body.put_count("settings", keys.len(), false)?;
                for key in keys {
                    body.put_text(key, false)?;
                }
            }
        }
    }
    Ok(())
}

/// Reads the body of a response.
pub(super) fn read(body: &mut Bytes) -> Result<DescribeConfigsResponse, WireError> {
    let mut reader = Reader::new(std::mem::take(body));
    let mut response =
        DescribeConfigsResponse::default().with_throttle_time_ms(reader.i32("the throttle time")?);
    for _ in 0..reader.array("resources", MIN_RESULT_BYTES, false)? {
        let mut result = DescribeConfigsResult::default()
            .with_error_code(reader.i16("an error code")?)
            .with_error_message(text(&mut reader)?)
            .with_resource_type(flag(&mut reader)?)
            .with_resource_name(text(&mut reader)?.unwrap_or_default());
        for _ in 0..reader.array("settings", MIN_CONFIG_BYTES, false)? {
            result.configs.push(config(&mut reader)?);
        }
        response.results.push(result);
    }
    *body = reader.rest();
    Ok(response)
}

fn config(reader: &mut Reader) -> Result<DescribeConfigsResourceResult, WireError> {
    Ok(DescribeConfigsResourceResult::default()
        .with_name(text(reader)?.unwrap_or_default())
        .with_value(text(reader)?)
        .with_read_only(flag(reader)? != 0)
        .with_config_source(if flag(reader)? == 0 { SET_FOR_THE_TOPIC } else { DEFAULT })
        .with_is_sensitive(flag(reader)? != 0))
}

fn text(reader: &mut Reader) -> Result<Option<StrBytes>, WireError> {
    let text = reader.nullable_text("text", false)?;
    Ok(text.map(|text| StrBytes::from_string(text.to_string())))
}

fn flag(reader: &mut Reader) -> Result<i8, WireError> {
    Ok(reader.u8("a flag")?.cast_signed())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;

    use super::super::samples::DESCRIBE_CONFIGS_V0;
    use super::super::{decode_response, encode_request};
    use super::*;

    #[test]
    fn requests_have_no_flag_for_synonyms() {
        let resource = |keys| {
            DescribeConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(StrBytes::from_static_str("t"))
                .with_configuration_keys(keys)
        };
        let keys = Some(vec![StrBytes::from_static_str("k")]);
        let request = DescribeConfigsRequest::default().with_resources(vec![resource(None), resource(keys)]);
        let expected = b"\0\0\0\x02\x02\0\x01t\xff\xff\xff\xff\x02\0\x01t\0\0\0\x01\0\x01k";
        assert_eq!(encode_request(&request, 0).unwrap(), &expected[..]);
    }

    #[test]
    fn responses_are_told_in_the_words_of_later_versions() {
        let body = Bytes::from_static(DESCRIBE_CONFIGS_V0);
        let response = decode_response::<DescribeConfigsRequest>(0, body).unwrap();
        let result = &response.results[0];
        assert_eq!((result.resource_name.as_str(), result.resource_type), ("orders", 2));
        let configs: Vec<_> =
            result.configs.iter().map(|config| (config.value.as_deref(), config.config_source)).collect();
        assert_eq!(configs, [(Some("1000"), SET_FOR_THE_TOPIC), (Some("false"), DEFAULT)]);
    }
}
