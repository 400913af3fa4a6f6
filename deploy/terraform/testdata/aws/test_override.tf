# Puts examples/aws-two-regions upon an emulator of the AWS API on loopback. AWS_ENDPOINT_URL says
# where that is.
provider "aws" {
  alias                       = "eu"
  region                      = var.aws_regions.eu
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

provider "aws" {
  alias                       = "us"
  region                      = var.aws_regions.us
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

module "dns" {
  zone_id = aws_route53_zone.test.id
}
